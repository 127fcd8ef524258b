// What LevelDB, and RocksDB that was made of it, name alike. `Library` says
// whose it is: its `DB`, `Iterator`, `Slice`, `Status` and `WriteOptions`.
#pragma once

#include <memory>
#include <string>

#include "harness.h"

template <class Library>
class Level {
 public:
  void put(slice key, slice value, bool sync) {
    typename Library::WriteOptions options;
    options.sync = sync;
    check(db_->Put(options, in(key), in(value)));
  }
  bool get(slice key, std::string *value) {
    auto status = db_->Get({}, in(key), value);
    if (!status.ok() && !status.IsNotFound()) check(status);
    return status.ok();
  }
  void remove(slice key) { check(db_->Delete({}, in(key))); }
  Cursor *cursor() { return new LevelCursor(db_->NewIterator({})); }

 protected:
  using Slice = typename Library::Slice;

  static Slice in(slice bytes) { return {bytes.data(), bytes.size()}; }
  static slice out(Slice bytes) { return {bytes.data(), bytes.size()}; }
  static void check(const typename Library::Status &status) {
    if (!status.ok()) fail(status.ToString());
  }

  template <class Options>
  void open(const Options &options, const std::string &directory) {
    typename Library::DB *db = nullptr;
    check(Library::DB::Open(options, directory, &db));
    db_.reset(db);
  }

  std::unique_ptr<typename Library::DB> db_;

 private:
  class LevelCursor : public Cursor {
   public:
    explicit LevelCursor(typename Library::Iterator *iterator) : iterator_(iterator) {}
    void first() override { iterator_->SeekToFirst(); }
    void last() override { iterator_->SeekToLast(); }
    void seek(slice key) override { iterator_->Seek(in(key)); }
    bool valid() override { return iterator_->Valid(); }
    void next() override { iterator_->Next(); }
    void previous() override { iterator_->Prev(); }
    slice key() override { return out(iterator_->key()); }
    slice value() override { return out(iterator_->value()); }

   private:
    std::unique_ptr<typename Library::Iterator> iterator_;
  };
};
