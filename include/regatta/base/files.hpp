// Files that are either whole or absent: atomic replacement, exclusive claims, whole-file reads.
// Everything here honours umask and raises DataError with the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace regatta {

/// The whole file. @throws DataError if it is missing, unreadable or longer than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit = std::uint64_t{1} << 30);

/// A file under a temporary name beside its final one. `commit` makes it durable (fsync, rename, fsync of the
/// directory); without it the destructor removes the temporary file.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// For writers that open by name (HDF5, libpng): the temporary path; our own descriptor stays open beside theirs.
  const std::filesystem::path& temporary_path() const { return temporary_; }

  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  bool committed_ = false;
};

void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// Creates `path` with `text` if no such file exists yet: a temporary file in the same directory is linked onto it.
/// Success is a link count of 2 on the temporary file, whatever link() returned (NFS may lie).
/// @return false if the name is taken
bool claim_file(const std::filesystem::path& path, std::string_view text);

/// Makes a rename or a new entry in this directory durable.
void sync_directory(const std::filesystem::path& directory);

void make_directories(const std::filesystem::path& directory);

/// A name part that no other process uses: "<host>-<pid>-<counter>".
std::string unique_suffix();

}  // namespace regatta
