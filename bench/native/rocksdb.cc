// RocksDB in C++, with the write buffer, cache and filters of Varve's defaults,
// and no compression.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "level.h"

struct RocksDb {
  using DB = rocksdb::DB;
  using Iterator = rocksdb::Iterator;
  using Slice = rocksdb::Slice;
  using Status = rocksdb::Status;
  using WriteOptions = rocksdb::WriteOptions;
};

class Db : public Level<RocksDb> {
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
    open(options, directory);
  }

  void putAll(const std::vector<Entry> &entries) {
    rocksdb::WriteBatch batch;
    for (auto &[key, value] : entries) check(batch.Put(key, value));
    check(db_->Write({}, &batch));
  }
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

 private:
  bool isBusy(const char *property) {
    uint64_t value = 0;
    return db_->GetIntProperty(property, &value) && value > 0;
  }
};

int main(int count, char **arguments) { return runWorkloads<Db>(count, arguments); }
