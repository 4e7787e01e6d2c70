#include "volume/formats/byte_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include <sys/stat.h>
#include <zlib.h>

#include "regatta/base/error.hpp"
#include "regatta/base/remarks.hpp"
#include "regatta/volume/nifti.hpp"

namespace regatta {
namespace {

constexpr unsigned kBufferBytes = 1U << 16;  // with zlib's own of twice the size they fit a core's cache

gzFile handle_of(void* file) {
  return static_cast<gzFile>(file);
}

/// What the end of a gzip file says of its inflated size, modulo 2^32.
std::uint32_t inflated_bytes(const std::filesystem::path& path) {
  std::array<unsigned char, 4> raw{};
  std::ifstream in(path, std::ios::binary);
  in.seekg(-4, std::ios::end);
  in.read(reinterpret_cast<char*>(raw.data()), raw.size());
  std::uint32_t value = 0;
  for (std::size_t i = raw.size(); i-- > 0;) {
    value = value << 8 | raw[i];
  }
  return value;
}

}  // namespace

ByteReader::ByteReader(const std::filesystem::path& path) : path_(path), name_(path.string()) {
  struct stat info {};
  REGATTA_REQUIRE(::stat(path.c_str(), &info) == 0, DataError, name_, ": cannot open: ", std::strerror(errno));
  REGATTA_REQUIRE(S_ISREG(info.st_mode), DataError, name_, ": not a regular file");
  file_bytes_ = static_cast<std::uint64_t>(info.st_size);
  file_ = ::gzopen(path.c_str(), "rbe");
  REGATTA_REQUIRE(file_ != nullptr, DataError, name_, ": cannot open: ", std::strerror(errno));
  ::gzbuffer(handle_of(file_), kBufferBytes);
  gzip_ = ::gzdirect(handle_of(file_)) == 0;
}

ByteReader::~ByteReader() {
  if (file_ != nullptr) {
    ::gzclose_r(handle_of(file_));
  }
}

std::uint64_t ByteReader::limit() const {
  return gzip_ ? file_bytes_ * kLargestDeflateRatio : file_bytes_;
}

void ByteReader::fail(const char* what, std::uint64_t wanted, std::uint64_t got) const {
  int code = Z_OK;
  const char* reason = ::gzerror(handle_of(file_), &code);
  REGATTA_REQUIRE(code == Z_OK || code == Z_BUF_ERROR || code == Z_STREAM_END, DataError, name_, ": ", what,
                  ": damaged gzip data: ", one_line(reason));
  throw DataError(str(name_, ": ", what, ": truncated: ", wanted, " bytes expected at byte ", position_,
                      gzip_ ? " of the inflated data, " : ", ", got, " found"));
}

void ByteReader::read(void* out, std::size_t bytes, const char* what) {
  std::size_t done = 0;
  while (done < bytes) {
    const auto part = static_cast<unsigned>(std::min<std::size_t>(bytes - done, 1U << 28));
    const int got = ::gzread(handle_of(file_), static_cast<char*>(out) + done, part);
    if (got <= 0) {
      fail(what, bytes, done);
    }
    done += static_cast<std::size_t>(got);
  }
  position_ += bytes;
}

void ByteReader::skip(std::uint64_t bytes, const char* what) {
  if (!gzip_ && bytes <= file_bytes_ - std::min(position_, file_bytes_)) {
    REGATTA_REQUIRE(::gzseek(handle_of(file_), static_cast<z_off_t>(bytes), SEEK_CUR) >= 0, DataError, name_, ": ",
                    what, ": cannot seek: ", std::strerror(errno));
    position_ += bytes;
    return;
  }
  std::array<char, 1U << 15> buffer{};
  while (bytes > 0) {
    const std::uint64_t part = std::min<std::uint64_t>(bytes, buffer.size());
    read(buffer.data(), static_cast<std::size_t>(part), what);
    bytes -= part;
  }
}

void ByteReader::allow_trailing(std::uint64_t most, bool is_footer) {
  most_trailing_ = most;
  is_footer_ = is_footer;
}

void ByteReader::require_end() {
  std::array<char, 1U << 15> buffer{};
  std::uint64_t rest = 0;
  int got = 0;
  while ((got = ::gzread(handle_of(file_), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
    rest += static_cast<std::uint64_t>(got);
    REGATTA_REQUIRE(rest <= most_trailing_, DataError, name_,
                    ": holds more than its header implies: data continue after byte ", position_);
  }
  int code = Z_OK;
  const char* reason = ::gzerror(handle_of(file_), &code);
  REGATTA_REQUIRE(got == 0 && (code == Z_OK || code == Z_STREAM_END), DataError, name_,
                  ": damaged gzip data: ", one_line(reason));
  if (rest > 0 && !is_footer_) {
    remark("files with bytes behind their voxels",
           str(name_, ": bytes behind the voxels that its header tells of: ", rest, ", not read"));
  }
}

std::uint64_t inflate_whole(const std::filesystem::path& path) {
  gzFile file = ::gzopen(path.c_str(), "rbe");
  REGATTA_REQUIRE(file != nullptr, DataError, path.string(), ": cannot open: ", std::strerror(errno));
  ::gzbuffer(file, kBufferBytes);
  std::vector<char> buffer(std::size_t{1} << 20);
  std::uint64_t bytes = 0;
  int got = 0;
  while ((got = ::gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
    bytes += static_cast<std::uint64_t>(got);
  }
  ::gzclose_r(file);
  REGATTA_REQUIRE(got == 0, DataError, path.string(), ": damaged gzip data");
  return bytes;
}

void ByteReader::require_whole(std::uint64_t bytes) const {
  if (!gzip_ || inflated_bytes(path_) == static_cast<std::uint32_t>(bytes)) {
    return;
  }
  ByteReader trial(path_);
  trial.skip(bytes, "voxels");
  trial.allow_trailing(most_trailing_, is_footer_);
  trial.require_end();
}

}  // namespace regatta
