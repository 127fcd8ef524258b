// LevelDB in C++, with the write buffer, cache and filters of Varve's defaults,
// and no compression.
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "level.h"

struct LevelDb {
  using DB = leveldb::DB;
  using Iterator = leveldb::Iterator;
  using Slice = leveldb::Slice;
  using Status = leveldb::Status;
  using WriteOptions = leveldb::WriteOptions;
};

class Db : public Level<LevelDb> {
 public:
  explicit Db(const std::string &directory)
      : cache_(leveldb::NewLRUCache(64 << 20)), filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = 32 << 20;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    options.compression = leveldb::kNoCompression;
    open(options, directory);
  }
  // The database is destroyed before what it uses.
  ~Db() { db_.reset(); }

  void putAll(const std::vector<Entry> &entries) {
    leveldb::WriteBatch batch;
    for (auto &[key, value] : entries) batch.Put(key, value);
    check(db_->Write({}, &batch));
  }
  bool removeRange(slice, slice) { return false; }
  // A range of nothing flushes the memtable; compactions run by themselves.
  void settle() {
    leveldb::Slice nothing("\0", 1);
    db_->CompactRange(&nothing, &nothing);
  }

 private:
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
};

int main(int count, char **arguments) { return runWorkloads<Db>(count, arguments); }
