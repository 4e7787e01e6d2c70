// Appending files of lines.
#include "train/line_log.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"

namespace regatta {

LineLog::LineLog(std::filesystem::path path) : path_(std::move(path)) {
  retry_passing_errors([&] {
    if (fd_ < 0) {
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
    require_no_error(fd_ < 0 ? errno : 0, "cannot open");
    sync_directory(path_.parent_path());
  });
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
  retry_passing_errors([&] {
    {
      const std::lock_guard lock(mutex_);  // not while the disk is slow: `append` must not wait for it
      require_no_error(push_out(), "cannot write");
    }
    require_no_error(::fdatasync(fd_) == 0 ? 0 : errno, "cannot make durable (fsync)");
  });
}

void LineLog::require_no_error(int error, const char* what) const {
  if (error == 0) {
    return;
  }
  const std::string text = str(path_.string(), ": ", what, ": ", std::strerror(error));
  if (error == ESTALE || error == EINTR) {
    throw PassingError(text);
  }
  throw DataError(text);
}

int LineLog::push_out() {
  while (!waiting_.empty()) {
    const ssize_t written = ::write(fd_, waiting_.data(), waiting_.size());
    if (written > 0) {
      waiting_.erase(0, static_cast<std::size_t>(written));
      warned_ = false;
    } else if (errno != EINTR) {
      const int error = errno;
      if (!warned_) {
        log_warning(path_.string(), ": cannot write, lines wait in memory: ", std::strerror(error));
      }
      warned_ = true;
      return error;
    }
  }
  return 0;
}

}  // namespace regatta
