// Files that are either whole or absent: atomic replacement, exclusive claims, whole-file reads.
// Everything here honours umask and raises DataError with the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "regatta/base/error.hpp"

namespace regatta {

/// The whole file. @throws DataError if it is missing, unreadable or longer than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit = std::uint64_t{1} << 30);

/// What network file systems answer to a call that succeeds a moment later: ESTALE, or EINTR of a call that is not
/// interrupted otherwise.
class PassingError : public DataError {
 public:
  explicit PassingError(const std::string& text) : DataError(text) {}
};

/// Does something again from its beginning while it raises PassingError: 5 times in all, 20, 40, 80, 160 ms apart. An
/// fsync that failed says nothing about what was written, so a file is written again.
void retry_passing_errors(const std::function<void()>& action);

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

  /// Asks the system to begin writing to the disk what was written so far, by whichever descriptor: less is left to
  /// wait for. A hint.
  void begin_sync();

  /// Durable, still under the temporary name. @throws as `commit`
  void sync();

  /// @throws DataError; PassingError if writing it all again may help
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  bool committed_ = false;
};

/// With `retry_passing_errors`.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// Creates `path` with `text` if no such file exists yet: a temporary file in the same directory is linked onto it.
/// Success is a link count of 2 on the temporary file, whatever link() returned (NFS may lie).
/// @return false if the name is taken
bool claim_file(const std::filesystem::path& path, std::string_view text);

/// Bytes that this process may still write there; the largest number if the file system does not say.
std::uint64_t free_bytes(const std::filesystem::path& directory);

/// Makes a rename or a new entry in this directory durable.
void sync_directory(const std::filesystem::path& directory);

/// With parents; new ones are durable in theirs.
void make_directories(const std::filesystem::path& directory);

/// A name part that no other process uses: "<host>-<pid>-<counter>".
std::string unique_suffix();

}  // namespace regatta
