// LevelDB in C++, with the write buffer, cache and filters of Varve's defaults,
// and no compression.
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "harness.h"

static leveldb::Slice in(slice bytes) { return {bytes.data(), bytes.size()}; }
static slice out(leveldb::Slice bytes) { return {bytes.data(), bytes.size()}; }
static void check(const leveldb::Status &status) {
  if (!status.ok()) fail(status.ToString());
}

class Db {
 public:
  explicit Db(const std::string &directory)
      : cache_(leveldb::NewLRUCache(64 << 20)), filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = 32 << 20;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    options.compression = leveldb::kNoCompression;
    leveldb::DB *db = nullptr;
    check(leveldb::DB::Open(options, directory, &db));
    db_.reset(db);
  }
  void put(slice key, slice value, bool sync) {
    leveldb::WriteOptions options;
    options.sync = sync;
    check(db_->Put(options, in(key), in(value)));
  }
  void putAll(const std::vector<Entry> &entries) {
    leveldb::WriteBatch batch;
    for (auto &[key, value] : entries) batch.Put(key, value);
    check(db_->Write({}, &batch));
  }
  bool get(slice key, std::string *value) {
    auto status = db_->Get({}, in(key), value);
    if (!status.ok() && !status.IsNotFound()) check(status);
    return status.ok();
  }
  void remove(slice key) { check(db_->Delete({}, in(key))); }
  bool removeRange(slice, slice) { return false; }
  // A range of nothing flushes the memtable; compactions run by themselves.
  void settle() {
    leveldb::Slice nothing("\0", 1);
    db_->CompactRange(&nothing, &nothing);
  }

  class DbCursor : public Cursor {
   public:
    explicit DbCursor(leveldb::Iterator *iterator) : iterator_(iterator) {}
    void first() override { iterator_->SeekToFirst(); }
    void last() override { iterator_->SeekToLast(); }
    void seek(slice key) override { iterator_->Seek(in(key)); }
    bool valid() override { return iterator_->Valid(); }
    void next() override { iterator_->Next(); }
    void previous() override { iterator_->Prev(); }
    slice key() override { return out(iterator_->key()); }
    slice value() override { return out(iterator_->value()); }

   private:
    std::unique_ptr<leveldb::Iterator> iterator_;
  };
  Cursor *cursor() { return new DbCursor(db_->NewIterator({})); }

 private:
  // The database is destroyed first.
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

int main(int count, char **arguments) { return runWorkloads<Db>(count, arguments); }
