// Group commit: a thread of its own makes queued journal records durable, so that the event loop never waits for fsync.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "regatta/sweep/journal.hpp"

namespace regatta {

/// A journal that makes its records durable while its user continues.
class DurableJournal {
 public:
  virtual ~DurableJournal() = default;

  /// Queues a record. @return its number, see `JournalWriter::append`
  virtual std::int64_t append(const std::string& type, const Json& fields = Json::object()) = 0;

  /// Everything up to this record is on disk.
  virtual bool is_durable(std::int64_t number) const = 0;

  /// Seconds since a commit last succeeded.
  virtual double durable_age_s(const Clock& clock) const = 0;

  /// The newest error, empty once a commit has succeeded again.
  virtual std::string error() const = 0;
};

class JournalThread final : public DurableJournal {
 public:
  /// @param writer  used by this object alone from now on
  explicit JournalThread(JournalWriter& writer);

  /// Makes what is queued durable (one more try after an error), then ends the thread.
  ~JournalThread() override;
  JournalThread(const JournalThread&) = delete;
  JournalThread& operator=(const JournalThread&) = delete;

  std::int64_t append(const std::string& type, const Json& fields = Json::object()) override;

  bool is_durable(std::int64_t number) const override { return writer_.durable() >= number; }

  double durable_age_s(const Clock& clock) const override { return clock.monotonic_s() - writer_.last_commit_s(); }

  std::string error() const override;

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
