// The workloads of bench/db_bench.ts and bench/ycsb.ts for stores in C++: the
// same keys, values, orders, counts and checks, the same line of JSON at the
// end. A store is a class `Db` with
//
//   Db(const std::string &directory);
//   void put(slice key, slice value, bool sync);      one write
//   void putAll(const std::vector<Entry> &entries);   one batch
//   bool get(slice key, std::string *value);
//   void remove(slice key);
//   bool removeRange(slice start, slice end);         false: it has none
//   Cursor *cursor();                                 see Cursor
//   void settle();
//
// A program in C++ pays no promise and no crossing of a language, so each put is
// a call of its own, as in db_bench.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using slice = std::string_view;
using Entry = std::pair<std::string, std::string>;

struct Cursor {
  virtual ~Cursor() = default;
  virtual void first() = 0;
  virtual void last() = 0;
  virtual void seek(slice key) = 0;
  virtual bool valid() = 0;
  virtual void next() = 0;
  virtual void previous() = 0;
  virtual slice key() = 0;
  virtual slice value() = 0;
};

[[noreturn]] inline void fail(const std::string &what) {
  fprintf(stderr, "%s\n", what.c_str());
  exit(1);
}

// ------------------------------------------------------------------ data.ts

constexpr size_t kKeyBytes = 16, kValueBytes = 100, kLargeValueBytes = 100000;
constexpr size_t kEntryBytes = kKeyBytes + kValueBytes;
constexpr size_t kTemplates = 1024, kFullCheckEvery = 64;

class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed) {}
  uint32_t bits() {
    state_ += 0x6d2b79f5u;
    uint32_t x = (state_ ^ (state_ >> 15)) * (state_ | 1u);
    x ^= x + (x ^ (x >> 7)) * (x | 61u);
    return x ^ (x >> 14);
  }
  uint32_t below(uint64_t bound) {
    return static_cast<uint32_t>(bits() / 4294967296.0 * bound);
  }

 private:
  uint32_t state_;
};

inline std::vector<uint32_t> shuffled(uint32_t count, uint32_t seed) {
  Random random(seed);
  std::vector<uint32_t> numbers(count);
  for (uint32_t i = 0; i < count; i++) numbers[i] = i;
  for (int64_t i = int64_t(count) - 1; i > 0; i--) {
    std::swap(numbers[i], numbers[random.below(i + 1)]);
  }
  return numbers;
}

class Data {
 public:
  Data() : templates_(kTemplates, std::string(kValueBytes, 0)) {
    Random random(301);
    for (auto &value : templates_) {
      for (size_t i = 0; i < kValueBytes / 2; i++) {
        value[i] = value[i + kValueBytes / 2] = char(random.below(256));
      }
    }
  }
  slice key(uint64_t number) {
    writeKey(key_, number);
    return slice(key_, kKeyBytes);
  }
  slice value(uint64_t number, uint32_t generation) {
    writeValue(value_, number, generation);
    return slice(value_, kValueBytes);
  }
  void checkKey(slice key, uint64_t number) {
    char expected[kKeyBytes];
    writeKey(expected, number);
    if (key != slice(expected, kKeyBytes)) fail("wrong key " + std::string(key));
  }
  void checkValue(bool found, slice value, uint64_t number, uint32_t generation) {
    char expected[kValueBytes];
    if (!found || value.size() != kValueBytes) fail("missing " + std::to_string(number));
    bool full = ++checks_ % kFullCheckEvery == 0;
    writeValue(expected, number, generation);
    if (memcmp(value.data(), expected, full ? kValueBytes : 5) != 0) {
      fail("wrong value of " + std::to_string(number));
    }
  }

 private:
  static void writeKey(char *into, uint64_t number) {
    for (int i = kKeyBytes - 1; i >= 0; i--, number /= 10) into[i] = '0' + number % 10;
  }
  void writeValue(char *into, uint64_t number, uint32_t generation) {
    memcpy(into, templates_[(number >> 1) % kTemplates].data(), kValueBytes);
    uint32_t low = uint32_t(number);
    memcpy(into, &low, 4);
    into[4] = char(generation);
  }
  std::vector<std::string> templates_;
  char key_[kKeyBytes], value_[kValueBytes];
  size_t checks_ = 0;
};

// --------------------------------------------------------------- measure.ts

inline double now() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

class Report {
 public:
  std::set<std::string> only;
  bool wants(const std::string &name) const { return only.empty() || only.count(name) > 0; }

  // Runs operations; one in sixteen is timed by itself.
  template <class F>
  void each(const std::string &name, uint64_t count, F operation) {
    std::vector<double> samples;
    samples.reserve(count / 16 + 1);
    double start = now();
    for (uint64_t i = 0; i < count; i++) {
      if (i % 16 != 0) {
        operation(i);
        continue;
      }
      double begin = now();
      operation(i);
      samples.push_back(now() - begin);
    }
    add(name, "ops/s", count, now() - start, &samples);
  }
  template <class F>
  void whole(const std::string &name, const char *unit, uint64_t count, F work) {
    double start = now();
    work();
    add(name, unit, count, now() - start, nullptr);
  }
  void wrote(double bytes) { dataBytes_ += bytes; }

  void print(const std::string &directory, double writtenBefore) {
    double disk = 0;
    for (auto &file : std::filesystem::recursive_directory_iterator(directory)) {
      if (file.is_regular_file()) disk += file.file_size();
    }
    printf("{\"measurements\":[%s],\"facts\":{\"peakMemory\":%.0f,\"diskBytes\":%.0f", rows_.c_str(),
           field("/proc/self/status", "VmHWM:") * 1024, disk);
    if (dataBytes_ > 0) {
      printf(",\"writeAmplification\":%.4f", (written() - writtenBefore) / dataBytes_);
    }
    printf("}}\n");
  }
  static double written() { return field("/proc/self/io", "wchar:"); }

 private:
  static double field(const char *file, const std::string &name) {
    std::ifstream in(file);
    std::string word;
    double value = 0;
    while (in >> word) {
      if (word == name) {
        in >> value;
        break;
      }
    }
    return value;
  }
  void add(const std::string &name, const char *unit, uint64_t count, double ms,
           std::vector<double> *samples) {
    std::ostringstream out;
    out << (rows_.empty() ? "" : ",") << "{\"name\":\"" << name << "\",\"unit\":\"" << unit
        << "\",\"figure\":" << count / (ms / 1000) << ",\"count\":" << count;
    if (samples != nullptr && !samples->empty()) {
      std::sort(samples->begin(), samples->end());
      auto at = [&](double share) {
        size_t rank = size_t(std::ceil(samples->size() * share));
        return (*samples)[rank == 0 ? 0 : rank - 1];
      };
      out << ",\"latency\":{\"count\":" << samples->size() << ",\"p50\":" << at(0.5)
          << ",\"p99\":" << at(0.99) << ",\"p999\":" << at(0.999) << ",\"max\":" << samples->back()
          << "}";
    }
    out << "}";
    rows_ += out.str();
  }
  std::string rows_;
  double dataBytes_ = 0;
};

// ---------------------------------------------------- db_bench.ts, ycsb.ts

// Ranks by Zipf's law, by the method of Gray et al., as in YCSB.
class Zipfian {
 public:
  Zipfian(uint64_t count, Random *random) : random_(random), count_(count) {
    for (uint64_t rank = 1; rank <= count; rank++) zeta_ += 1 / std::pow(double(rank), kSkew);
    eta_ = (1 - std::pow(2.0 / count, 1 - kSkew)) / (1 - (1 + std::pow(0.5, kSkew)) / zeta_);
  }
  uint64_t next() {
    double u = random_->bits() / 4294967296.0, scaled = u * zeta_;
    if (scaled < 1) return 0;
    if (scaled < 1 + std::pow(0.5, kSkew)) return 1;
    double rank = count_ * std::pow(eta_ * u - eta_ + 1, 1 / (1 - kSkew));
    return std::min<uint64_t>(count_ - 1, uint64_t(rank));
  }

 private:
  static constexpr double kSkew = 0.99;
  Random *random_;
  uint64_t count_;
  double zeta_ = 0, eta_;
};

template <class Db>
class Workloads {
 public:
  Workloads(std::string directory, uint32_t size, Report *report)
      : directory_(std::move(directory)), size_(size), report_(report), db_(directory_) {}

  void run(const std::string &scenario, int step) {
    if (scenario == "fillseq") return fill(scenario, {});
    if (scenario == "fillrandom") return fill(scenario, shuffled(size_, 7));
    if (scenario == "fillbatch") return fillBatch();
    if (scenario == "overwrite") return overwrite();
    if (scenario == "deleterandom") return deleteRandom();
    if (scenario == "fill100K") return fillLarge();
    if (scenario == "fillsync") return fillSync();
    if (scenario == "fillsync 64 writers") return fillSyncThreads();
    if (scenario == "reads") return step == 0 ? prepare() : reads();
    if (scenario == "ycsb") return step == 0 ? prepare() : ycsb();
    fail("no scenario " + scenario);
  }

 private:
  void put(uint32_t entry, uint32_t generation) {
    db_.put(data_.key(entry * 2ull), data_.value(entry * 2ull, generation), false);
  }
  void look(uint32_t entry, uint32_t generation) {
    bool found = db_.get(data_.key(entry * 2ull), &found_);
    data_.checkValue(found, found_, entry * 2ull, generation);
  }
  void checkSome(uint32_t count, uint32_t generation) {
    Random random(11);
    for (uint32_t i = 0; i < std::min<uint32_t>(count, 1000); i++) {
      look(random.below(count), generation);
    }
  }
  // Gives the store a while for what it does when it is let alone.
  void comeToRest() {
    db_.settle();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    db_.settle();
  }
  void prepare() {
    for (uint32_t entry : shuffled(size_, 7)) put(entry, 1);
    comeToRest();
  }

  void fill(const std::string &name, std::vector<uint32_t> order) {
    report_->each(name, size_, [&](uint64_t i) { put(order.empty() ? i : order[i], 1); });
    report_->wrote(double(size_) * kEntryBytes);
    comeToRest();
    checkSome(size_, 1);
  }
  void fillBatch() {
    std::vector<Entry> entries;
    report_->whole("fillbatch", "ops/s", size_, [&] {
      for (uint32_t from = 0; from < size_; from += 1000) {
        entries.clear();
        for (uint32_t i = from; i < std::min(size_, from + 1000); i++) {
          entries.emplace_back(data_.key(i * 2ull), data_.value(i * 2ull, 1));
        }
        db_.putAll(entries);
      }
    });
    report_->wrote(double(size_) * kEntryBytes);
    comeToRest();
    checkSome(size_, 1);
  }
  void overwrite() {
    prepare();
    auto order = shuffled(size_, 8);
    report_->each("overwrite", size_, [&](uint64_t i) { put(order[i], 2); });
    report_->wrote(2.0 * size_ * kEntryBytes);
    comeToRest();
    checkSome(size_, 2);
  }
  void deleteRandom() {
    prepare();
    auto order = shuffled(size_, 9);
    report_->each("deleterandom", size_, [&](uint64_t i) { db_.remove(data_.key(order[i] * 2ull)); });
    for (uint32_t i = 0; i < std::min<uint32_t>(size_, 1000); i++) {
      if (db_.get(data_.key(order[i] * 2ull), &found_)) fail("not deleted");
    }
  }
  void fillLarge() {
    uint32_t count = std::min<uint32_t>(1000, (size_ + 99) / 100);
    std::vector<std::string> values(64, std::string(kLargeValueBytes, 0));
    Random random(302);
    for (auto &value : values) {
      for (char &byte : value) byte = char(random.below(256));
    }
    report_->each("fill100K", count, [&](uint64_t i) {
      std::string &value = values[(i + 1) % values.size()];
      uint32_t stamp = __builtin_bswap32(uint32_t(i * 2));
      memcpy(value.data(), &stamp, 4);
      db_.put(data_.key(i * 2), value, false);
    });
    report_->wrote(double(count) * (kKeyBytes + kLargeValueBytes));
    comeToRest();
    for (uint32_t i = 0; i < count; i++) {
      uint32_t stamp = __builtin_bswap32(i * 2);
      if (!db_.get(data_.key(i * 2ull), &found_) || found_.size() != kLargeValueBytes ||
          memcmp(found_.data(), &stamp, 4) != 0) {
        fail("wrong large value");
      }
    }
  }
  void fillSync() {
    uint32_t count = (size_ + 99) / 100;
    report_->each("fillsync", count, [&](uint64_t i) {
      db_.put(data_.key(i * 2), data_.value(i * 2, 1), true);
    });
    checkSome(count, 1);
  }
  void fillSyncThreads() {
    uint32_t count = (size_ + 9) / 10;
    std::atomic<uint32_t> next{0};
    report_->whole("fillsync 64 writers", "ops/s", count, [&] {
      std::vector<std::thread> threads;
      for (int thread = 0; thread < 64; thread++) {
        threads.emplace_back([&] {
          Data data;
          for (uint32_t i; (i = next++) < count;) {
            db_.put(data.key(i * 2ull), data.value(i * 2ull, 1), true);
          }
        });
      }
      for (auto &thread : threads) thread.join();
    });
    checkSome(count, 1);
  }

  void reads() {
    gets("readrandom", size_);
    gets("readhot", std::max<uint32_t>(1, size_ / 100));
    if (report_->wants("readmissing")) {
      Random random(21);
      report_->each("readmissing", size_, [&](uint64_t) {
        if (db_.get(data_.key(random.below(size_) * 2ull + 1), &found_)) fail("found a missing key");
      });
    }
    scanAll("readseq", false);
    scanAll("readreverse", true);
    scanSome("seekrandom", std::min<uint32_t>(size_, 50000), 10);
    scanSome("scan100", std::min<uint32_t>(size_ / 10, 5000), 100);
    removeRanges();
  }
  void gets(const char *name, uint32_t among) {
    if (!report_->wants(name)) return;
    Random random(21);
    report_->each(name, size_, [&](uint64_t) { look(random.below(among), 1); });
  }
  void scanAll(const char *name, bool reverse) {
    if (!report_->wants(name)) return;
    report_->whole(name, "entries/s", size_, [&] {
      std::unique_ptr<Cursor> cursor(db_.cursor());
      uint64_t seen = 0;
      for (reverse ? cursor->last() : cursor->first(); cursor->valid();
           reverse ? cursor->previous() : cursor->next()) {
        uint64_t number = (reverse ? size_ - 1 - seen : seen) * 2;
        data_.checkKey(cursor->key(), number);
        data_.checkValue(true, cursor->value(), number, 1);
        seen++;
      }
      if (seen != size_) fail("wrong count");
    });
  }
  void scanSome(const char *name, uint32_t count, uint32_t length) {
    if (!report_->wants(name)) return;
    Random random(23);
    report_->each(name, count, [&](uint64_t) {
      uint64_t from = random.below((size_ - length) * 2ull);
      uint64_t number = from + (from & 1);
      std::unique_ptr<Cursor> cursor(db_.cursor());
      cursor->seek(data_.key(from));
      for (uint32_t seen = 0; seen < length; seen++, number += 2, cursor->next()) {
        if (!cursor->valid()) fail("scan cut short");
        data_.checkKey(cursor->key(), number);
        data_.checkValue(true, cursor->value(), number, 1);
      }
    });
  }
  void removeRanges() {
    if (!report_->wants("deleterange") || !db_.removeRange("", "")) return;
    Random random(24);
    std::vector<uint32_t> starts(std::min<uint32_t>(1000, size_ / 100));
    for (auto &start : starts) start = random.below(size_ - 100);
    report_->each("deleterange", starts.size(), [&](uint64_t i) {
      std::string start(data_.key(starts[i] * 2ull));
      db_.removeRange(start, data_.key((starts[i] + 100) * 2ull));
    });
    if (db_.get(data_.key(starts[0] * 2ull), &found_)) fail("range not deleted");
  }

  // The entries' generations, and how many entries there are.
  std::vector<uint32_t> generations_;
  uint32_t entries_ = 0;

  uint32_t frequent(Zipfian &zipfian) {
    uint32_t x = (uint32_t(zipfian.next()) ^ 0x9e3779b9u) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    return (x ^ (x >> 16)) % size_;
  }
  void ycsb() {
    Random random(31);
    Zipfian zipfian(size_, &random);
    generations_.assign(size_ * 2ull, 0);
    std::fill_n(generations_.begin(), size_, 1);
    entries_ = size_;
    auto isIn = [&](double share) { return random.below(65536) < share * 65536; };
    auto write = [&](uint32_t entry) { put(entry, ++generations_[entry]); };
    auto read = [&](uint32_t entry) { look(entry, generations_[entry]); };
    auto readOrUpdate = [&](const char *name, double updates) {
      if (!report_->wants(name)) return;
      report_->each(name, size_, [&](uint64_t) {
        uint32_t entry = frequent(zipfian);
        isIn(updates) ? write(entry) : read(entry);
      });
    };
    readOrUpdate("YCSB A", 0.5);
    readOrUpdate("YCSB B", 0.05);
    readOrUpdate("YCSB C", 0);
    if (report_->wants("YCSB F")) {
      report_->each("YCSB F", size_, [&](uint64_t) {
        uint32_t entry = frequent(zipfian);
        read(entry);
        if (isIn(0.5)) write(entry);
      });
    }
    if (report_->wants("YCSB D")) {
      report_->each("YCSB D", size_, [&](uint64_t) {
        isIn(0.05) ? write(entries_++) : read(entries_ - 1 - uint32_t(zipfian.next()));
      });
    }
    if (report_->wants("YCSB E")) {
      report_->each("YCSB E", std::min<uint32_t>(20000, size_ / 10), [&](uint64_t) {
        if (isIn(0.05)) return write(entries_++);
        uint32_t entry = frequent(zipfian), limit = 1 + random.below(100);
        std::unique_ptr<Cursor> cursor(db_.cursor());
        cursor->seek(data_.key(entry * 2ull));
        for (uint32_t end = std::min(entries_, entry + limit); entry < end; entry++) {
          if (!cursor->valid()) fail("scan cut short");
          data_.checkKey(cursor->key(), entry * 2ull);
          data_.checkValue(true, cursor->value(), entry * 2ull, generations_[entry]);
          cursor->next();
        }
      });
    }
  }

  std::string directory_;
  uint32_t size_;
  Report *report_;
  Db db_;
  Data data_;
  std::string found_;
};

template <class Db>
int runWorkloads(int count, char **arguments) {
  std::string scenario, directory;
  uint32_t size = 0;
  int step = 0;
  Report report;
  for (int i = 1; i + 1 < count; i += 2) {
    std::string name = arguments[i], value = arguments[i + 1];
    if (name == "--scenario") scenario = value;
    if (name == "--step") step = std::stoi(value);
    if (name == "--size") size = uint32_t(std::stoul(value));
    if (name == "--directory") directory = value;
    if (name == "--only") report.only.insert(value);
  }
  double writtenBefore = Report::written();
  {
    Workloads<Db> workloads(directory, size, &report);
    workloads.run(scenario, step);
  }
  report.print(directory, writtenBefore);
  return 0;
}
