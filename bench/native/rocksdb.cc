// RocksDB in C++, with the write buffer, cache and filters of Varve's defaults,
// and no compression.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "harness.h"

static rocksdb::Slice in(slice bytes) { return {bytes.data(), bytes.size()}; }
static slice out(rocksdb::Slice bytes) { return {bytes.data(), bytes.size()}; }
static void check(const rocksdb::Status &status) {
  if (!status.ok()) fail(status.ToString());
}

class Db {
 public:
  explicit Db(const std::string &directory) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(64 << 20);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.format_version = 5;
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = 32 << 20;
    options.compression = rocksdb::kNoCompression;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB *db = nullptr;
    check(rocksdb::DB::Open(options, directory, &db));
    db_.reset(db);
  }
  void put(slice key, slice value, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    check(db_->Put(options, in(key), in(value)));
  }
  void putAll(const std::vector<Entry> &entries) {
    rocksdb::WriteBatch batch;
    for (auto &[key, value] : entries) check(batch.Put(key, value));
    check(db_->Write({}, &batch));
  }
  bool get(slice key, std::string *value) {
    auto status = db_->Get({}, in(key), value);
    if (!status.ok() && !status.IsNotFound()) check(status);
    return status.ok();
  }
  void remove(slice key) { check(db_->Delete({}, in(key))); }
  bool removeRange(slice start, slice end) {
    if (start.empty() && end.empty()) return true;
    check(db_->DeleteRange({}, db_->DefaultColumnFamily(), in(start), in(end)));
    return true;
  }
  void settle() {
    check(db_->Flush({}));
    while (isBusy("rocksdb.compaction-pending") || isBusy("rocksdb.num-running-compactions")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  bool isBusy(const char *property) {
    uint64_t value = 0;
    return db_->GetIntProperty(property, &value) && value > 0;
  }

  class DbCursor : public Cursor {
   public:
    explicit DbCursor(rocksdb::Iterator *iterator) : iterator_(iterator) {}
    void first() override { iterator_->SeekToFirst(); }
    void last() override { iterator_->SeekToLast(); }
    void seek(slice key) override { iterator_->Seek(in(key)); }
    bool valid() override { return iterator_->Valid(); }
    void next() override { iterator_->Next(); }
    void previous() override { iterator_->Prev(); }
    slice key() override { return out(iterator_->key()); }
    slice value() override { return out(iterator_->value()); }

   private:
    std::unique_ptr<rocksdb::Iterator> iterator_;
  };
  Cursor *cursor() { return new DbCursor(db_->NewIterator({})); }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

int main(int count, char **arguments) { return runWorkloads<Db>(count, arguments); }
