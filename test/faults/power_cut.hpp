// Disk states that a power cut may leave, built from a trace of fault_shim: what was not made durable is dropped,
// torn at sectors, garbled or reordered (as SQLite's tests do). A file's data are durable after fsync of the file; a
// name is durable after fsync of its directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace regatta::faults {

struct TraceRecord {
  unsigned call = 0;
  long file = 0;
  long offset = 0;
  std::string first;
  std::string second;
};

std::vector<TraceRecord> read_trace(const std::filesystem::path& path);

class Disk {
 public:
  /// @param root  the trace's; itself durable from the start
  explicit Disk(std::filesystem::path root);

  /// The next record.
  void apply(const TraceRecord& record);

  /// Writes one possible state below `target`, which is emptied first. Seed 0: nothing that was not durable; 1: every
  /// name, no data that was not durable; others: by chance.
  void write_state(const std::filesystem::path& target, std::uint64_t seed) const;

 private:
  struct Write {
    std::size_t offset;
    std::string data;
  };
  struct File {
    std::string durable;
    std::vector<Write> pending;
  };
  struct Change {
    std::string name;
    long file;  ///< kGone, kFolder or a file
  };
  struct Folder {
    std::map<std::string, long> durable;
    std::map<std::string, long> now;
    std::vector<Change> pending;
  };
  static constexpr long kGone = -1;
  static constexpr long kFolder = 0;

  void change(const std::filesystem::path& path, long file);
  long file_at(const std::filesystem::path& path) const;

  std::filesystem::path root_;
  std::map<long, File> files_;
  std::map<std::string, Folder> folders_;
};

}  // namespace regatta::faults
