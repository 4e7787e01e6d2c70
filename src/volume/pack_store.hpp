// Subjects that were packed before: by a pack that was interrupted (a file OUTPUT.part beside the archive to be) and in
// an archive that is packed anew. Both are found by the hash of a subject's files and of what was done to them.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "packed_subject.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

class PackStore {
 public:
  /// Opens or makes the part file and verifies its records; from the first torn one on they are written anew.
  /// @param earlier  an archive to take subjects from; none, or no archive of this version: nothing is taken
  /// @throws DataError if another process packs into the same file, or the disk refuses
  PackStore(std::filesystem::path part, const std::optional<std::filesystem::path>& earlier);
  ~PackStore();
  PackStore(const PackStore&) = delete;
  PackStore& operator=(const PackStore&) = delete;

  bool has(const std::string& key) const;

  /// Appends a subject, if it is not there yet; `row.source_key` is its key.
  void add(const PackedSubject& subject);

  /// Label values that the subject has, ascending.
  std::vector<std::int32_t> label_values(const std::string& key) const;

  /// @throws DataError if it does not verify
  PackedSubject load(const std::string& key) const;

  /// Subjects in the part file.
  std::size_t kept() const { return offset_of_.size(); }

  /// Removes the part file: the archive is there.
  void remove();

 private:
  void read_index();
  void write_at(std::uint64_t offset, const void* data, std::size_t bytes) const;
  PackedSubject from_archive(std::int64_t subject) const;

  std::filesystem::path part_;
  int fd_ = -1;
  std::uint64_t end_ = 0;
  std::map<std::string, std::uint64_t> offset_of_;
  std::map<std::string, std::vector<std::int32_t>> values_of_;
  std::optional<Archive> earlier_;
  std::map<std::string, std::int64_t> subject_of_;  ///< of the earlier archive
};

}  // namespace regatta
