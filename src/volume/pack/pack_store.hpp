// Subjects that are packed already: by this pack, held in memory for a while; by it or one that was interrupted, in a
// file OUTPUT.part beside the archive to be; and in an archive that is packed again. All are found by the hash of a
// subject's files and of what was done to them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "regatta/volume/archive.hpp"
#include "volume/pack/packed_subject.hpp"

namespace regatta {

/// `has` and `load` may be called while another thread adds.
class PackStore {
 public:
  /// Opens or makes the part file and verifies its records; from the first torn one on they are written again.
  /// @param earlier  an archive to take subjects from; none, or no archive of this version: nothing is taken
  /// @throws DataError if another process packs into the same file, or the disk refuses
  PackStore(std::filesystem::path part, const std::optional<std::filesystem::path>& earlier);
  ~PackStore();
  PackStore(const PackStore&) = delete;
  PackStore& operator=(const PackStore&) = delete;

  bool has(const std::string& key) const;

  using Load = std::function<std::shared_ptr<const PackedSubject>()>;

  /// Takes a subject, if it is not there yet; `row.source_key` is its key. It is held in memory; once 1 GiB or the work
  /// of half a minute is held, all of it goes into the part file. @throws DataError if the disk refuses
  void add(const std::shared_ptr<const PackedSubject>& subject);

  /// The same for one that is held elsewhere. @param bytes  of its volumes @param load  gives it, until `remove`
  void add(const std::string& key, std::uint64_t bytes, Load load);

  /// Writes what is held into the part file: the pack ends before its time. @throws DataError
  void keep();

  /// Label values that the subject has, ascending.
  std::vector<std::int32_t> label_values(const std::string& key) const;

  /// @throws DataError if it does not verify
  std::shared_ptr<const PackedSubject> load(const std::string& key) const;

  /// From now on it is not taken from the earlier archive.
  void forget_earlier(const std::string& key) { subject_of_.erase(key); }

  /// Subjects in the part file.
  std::size_t kept() const { return offset_of_.size(); }

  /// Removes the part file: the archive is there.
  void remove();

 private:
  void read_index();
  void keep_held();
  void append(const PackedSubject& subject);
  void write_at(std::uint64_t offset, const void* data, std::size_t bytes) const;
  PackedSubject from_archive(std::int64_t subject) const;

  std::filesystem::path part_;
  int fd_ = -1;
  mutable std::mutex mutex_;  ///< of all below but the earlier archive
  std::uint64_t end_ = 0;
  std::map<std::string, Load> held_;
  std::uint64_t held_bytes_ = 0;
  double held_since_s_ = 0.0;  ///< when the first of them came
  std::map<std::string, std::uint64_t> offset_of_;
  std::map<std::string, std::vector<std::int32_t>> values_of_;
  std::optional<Archive> earlier_;
  std::map<std::string, std::int64_t> subject_of_;  ///< of the earlier archive
};

}  // namespace regatta
