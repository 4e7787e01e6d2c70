// A file of lines that only grows: metrics.jsonl and pairs.jsonl of one attempt. A disk that refuses does not end the
// training: lines wait in memory and are tried again.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>

namespace regatta {

class LineLog {
 public:
  /// @throws DataError if the file cannot be opened
  explicit LineLog(std::filesystem::path path);
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  /// @param lines  whole lines, each with its newline
  void append(const std::string& lines);

  /// Makes what was written durable. May be called from another thread. @throws DataError if lines still wait
  void sync();

 private:
  /// @return errno, or 0 if no line waits
  int push_out();
  void require_no_error(int error, const char* what) const;

  std::filesystem::path path_;
  int fd_ = -1;
  std::mutex mutex_;
  std::string waiting_;
  bool warned_ = false;
};

}  // namespace regatta
