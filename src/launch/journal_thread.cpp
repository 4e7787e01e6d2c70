// The thread that commits, and tries again after an error.
#include "launch/journal_thread.hpp"

#include <chrono>
#include <csignal>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"

namespace regatta {
namespace {

constexpr auto kRetryAfter = std::chrono::seconds(2);

/// A thread that no signal is delivered to: the event loop is to be interrupted by them.
std::thread start_without_signals(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

JournalThread::JournalThread(JournalWriter& writer) : writer_(writer) {
  thread_ = start_without_signals([this] { run(); });
}

JournalThread::~JournalThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

std::int64_t JournalThread::append(const std::string& type, const Json& fields) {
  const std::int64_t number = writer_.append(type, fields);
  {
    const std::lock_guard lock(mutex_);
    work_ = true;
  }
  wake_.notify_one();
  return number;
}

std::string JournalThread::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

bool JournalThread::commit() {
  std::string error;
  try {
    writer_.commit();
  } catch (const DataError& failure) {
    error = failure.what();
  }
  const std::lock_guard lock(mutex_);
  if (!error.empty() && error_.empty()) {
    log_warning("journal: ", error, "; trying again");
  } else if (error.empty() && !error_.empty()) {
    log_info("journal: writable again");
  }
  error_ = error;
  return error.empty();
}

void JournalThread::run() {
  bool retry = false;
  while (true) {
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return work_ || stop_; };
      if (retry) {
        wake_.wait_for(lock, kRetryAfter, [this] { return stop_; });
      } else {
        wake_.wait(lock, ready);
      }
      last = stop_;
      work_ = false;
    }
    retry = !commit();
    if (last) {
      return;
    }
  }
}

}  // namespace regatta
