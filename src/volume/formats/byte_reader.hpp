// A file read front to back, plain or gzip, never further than asked: a small gzip file cannot fill the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace regatta {

/// The most bytes that one byte of a gzip or deflate stream becomes.
inline constexpr std::uint64_t kLargestDeflateRatio = 1032;

class ByteReader {
 public:
  /// @throws DataError if the file is missing, a folder, or cannot be opened
  explicit ByteReader(const std::filesystem::path& path);
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  /// The next bytes. @param what  what they are, for the message of a truncated or damaged file
  void read(void* out, std::size_t bytes, const char* what);

  void skip(std::uint64_t bytes, const char* what);

  /// How many bytes may follow what is read: none until this is called. @param is_footer  they belong to the format
  void allow_trailing(std::uint64_t most, bool is_footer);

  /// Reads on to the end and remarks on bytes that do not belong there.
  /// @throws DataError if more follows than is allowed, or if the gzip checksum is wrong
  void require_end();

  /// Before memory is taken for them: that the whole file has as many bytes as its header implies, and those that are
  /// allowed to follow. The last bytes of a gzip file say what it inflates to; where they say otherwise (some writers
  /// join several gzip files), all of it is inflated once for nothing. @throws DataError as `read` and `require_end`
  void require_whole(std::uint64_t bytes) const;

  /// The most bytes that the file can hold: its size, or for gzip its size times deflate's largest ratio.
  std::uint64_t limit() const;

  bool is_gzip() const { return gzip_; }
  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  [[noreturn]] void fail(const char* what, std::uint64_t wanted, std::uint64_t got) const;

  std::filesystem::path path_;
  std::string name_;
  void* file_ = nullptr;  // gzFile: reads plain files too
  std::uint64_t file_bytes_ = 0;
  std::uint64_t position_ = 0;
  bool gzip_ = false;
  std::uint64_t most_trailing_ = 0;
  bool is_footer_ = false;
};

}  // namespace regatta
