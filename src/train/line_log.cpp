// Appending files of lines.
#include "train/line_log.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"

namespace regatta {

LineLog::LineLog(std::filesystem::path path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  REGATTA_REQUIRE(fd_ >= 0, DataError, path_.string(), ": cannot open: ", std::strerror(errno));
}

LineLog::~LineLog() {
  ::close(fd_);
}

void LineLog::append(const std::string& lines) {
  const std::lock_guard lock(mutex_);
  waiting_ += lines;
  push_out();
}

void LineLog::sync() {
  const std::lock_guard lock(mutex_);
  push_out();
  REGATTA_REQUIRE(waiting_.empty() && ::fdatasync(fd_) == 0, DataError, path_.string(),
                  ": cannot write: ", std::strerror(errno));
}

void LineLog::push_out() {
  while (!waiting_.empty()) {
    const ssize_t written = ::write(fd_, waiting_.data(), waiting_.size());
    if (written > 0) {
      waiting_.erase(0, static_cast<std::size_t>(written));
      warned_ = false;
    } else if (errno != EINTR) {
      if (!warned_) {
        log_warning(path_.string(), ": cannot write, lines wait in memory: ", std::strerror(errno));
      }
      warned_ = true;
      return;
    }
  }
}

}  // namespace regatta
