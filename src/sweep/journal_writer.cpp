// One shard of the journal, written by one process: queue, group commit, repair after a write that failed half-way.
#include <cstring>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta {
namespace {

/// A part of a file name: anything unusual becomes '_'.
std::string name_part(const std::string& text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
  std::string part = text.substr(0, 64);
  for (char& c : part) {
    if (kAllowed.find(c) == std::string_view::npos) {
      c = '_';
    }
  }
  return part;
}

}  // namespace

JournalWriter::JournalWriter(const std::filesystem::path& directory, const JobPlace& place, const Clock& clock)
    : clock_(clock), last_commit_s_(clock.monotonic_s()) {
  make_directories(directory);
  DirectoryStorage storage = DirectoryStorage::journal_only(directory);
  // The suffix differs in every process; the clock keeps a reused pid apart.
  create(storage, place,
         [] { return xxh3_text(str(unique_suffix(), " ", boot_id(), " ", system_clock().monotonic_s())); });
}

JournalWriter::JournalWriter(SweepStorage& storage, const JobPlace& place, const std::string& nonce, const Clock& clock)
    : clock_(clock), last_commit_s_(clock.monotonic_s()) {
  create(storage, place, [&nonce] { return nonce; });
  REGATTA_REQUIRE(file_, BugError, "journal: ", shard_, " exists already");
}

void JournalWriter::create(SweepStorage& storage, const JobPlace& place, const std::function<std::string()>& nonce) {
  const std::string stem = str(name_part(place.cluster), "-", name_part(place.job), "-r", place.restart, "-");
  std::string tried;
  while (!file_ && (shard_ = str(stem, nonce(), ".jsonl")) != tried) {
    file_ = storage.create_shard(shard_);
    tried = shard_;
  }
}

std::int64_t JournalWriter::append(const std::string& type, Json fields) {
  Json record = {{"type", type}, {"time", clock_.utc_text()}, {"shard", shard_}, {"seq", 0}};
  for (auto& [key, value] : fields.items()) {
    REGATTA_REQUIRE(!record.contains(key), BugError, "journal: a field of '", type, "' is named '", key, "'");
    record[key] = std::move(value);
  }
  const std::lock_guard lock(queue_mutex_);
  record["seq"] = ++last_queued_;
  queued_ += seal_line(dump_line(record));
  queued_ += '\n';
  return last_queued_;
}

void JournalWriter::commit() {
  const std::lock_guard writing(write_mutex_);
  std::string text;
  std::int64_t upto = 0;
  {
    const std::lock_guard lock(queue_mutex_);
    text.swap(queued_);
    upto = last_queued_;
  }
  if (text.empty()) {
    return;
  }
  const int error = file_->append(torn_ ? str("\n", text) : text);
  const std::lock_guard lock(queue_mutex_);
  torn_ = error != 0;
  if (error != 0) {
    queued_.insert(0, text);
    throw DataError(str(file_->path(), ": cannot write: ", std::strerror(error)));
  }
  durable_ = upto;
  last_commit_s_ = clock_.monotonic_s();
}

std::int64_t JournalWriter::durable() const {
  const std::lock_guard lock(queue_mutex_);
  return durable_;
}

double JournalWriter::last_commit_s() const {
  const std::lock_guard lock(queue_mutex_);
  return last_commit_s_;
}

}  // namespace regatta
