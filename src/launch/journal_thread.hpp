// Group commit: a thread of its own makes queued journal records durable, so that the event loop never waits for fsync.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "regatta/sweep/journal.hpp"

namespace regatta {

class JournalThread {
 public:
  /// @param writer  used by this object alone from now on
  explicit JournalThread(JournalWriter& writer);

  /// Makes what is queued durable (one more try after an error), then ends the thread.
  ~JournalThread();
  JournalThread(const JournalThread&) = delete;
  JournalThread& operator=(const JournalThread&) = delete;

  /// Queues a record and wakes the thread. @return its number, see `JournalWriter::append`
  std::int64_t append(const std::string& type, const Json& fields = Json::object());

  /// Everything up to this record is on disk.
  bool is_durable(std::int64_t number) const { return writer_.durable() >= number; }

  /// Seconds since a commit last succeeded.
  double durable_age_s(const Clock& clock) const { return clock.monotonic_s() - writer_.last_commit_s(); }

  /// The newest error, empty once a commit has succeeded again.
  std::string error() const;

 private:
  void run();
  bool commit();

  JournalWriter& writer_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool work_ = false;
  bool stop_ = false;
  std::string error_;
  std::thread thread_;
};

}  // namespace regatta
