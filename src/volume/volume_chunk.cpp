#include "volume_chunk.hpp"

#include <algorithm>
#include <cstdint>

#include <zlib.h>

namespace regatta::h5 {
namespace {

constexpr std::uint64_t kLargestDeflateRatio = 1032;

/// The most that deflate makes of incompressible bytes.
std::uint64_t most_stored(std::uint64_t bytes) {
  return bytes + bytes / 512 + 64;
}

/// Identifiers of the filters, in the order in which they were applied.
std::vector<H5Z_filter_t> filters_of(hid_t plist) {
  std::vector<H5Z_filter_t> out;
  for (int i = 0; i < H5Pget_nfilters(plist); ++i) {
    unsigned flags = 0;
    std::size_t values = 0;
    unsigned config = 0;
    out.push_back(H5Pget_filter2(plist, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config));
  }
  return out;
}

/// Undoes the shuffle filter: first bytes of all values, then the second ones ...
void unshuffle(std::span<const std::byte> in, std::size_t value_bytes, std::span<std::byte> out) {
  const std::size_t values = in.size() / value_bytes;
  for (std::size_t b = 0; b < value_bytes; ++b) {
    for (std::size_t i = 0; i < values; ++i) {
      out[i * value_bytes + b] = in[b * values + i];
    }
  }
}

void inflate_exactly(const std::vector<std::byte>& stored, std::span<std::byte> out, const std::string& source,
                     const std::string& label) {
  uLongf bytes = out.size();
  const int code = ::uncompress(reinterpret_cast<Bytef*>(out.data()), &bytes,
                                reinterpret_cast<const Bytef*>(stored.data()), stored.size());
  REGATTA_REQUIRE(code == Z_OK && bytes == out.size(), DataError, source, ": cannot ", label,
                  ": damaged deflate data: they do not give the ", out.size(), " bytes of a volume");
}

}  // namespace

void require_volume_chunks(hid_t set, const Dims& chunk, std::size_t value_bytes, const std::string& name,
                           const std::string& source) {
  const Handle plist(REGATTA_H5(H5Dget_create_plist(set), source, "read the layout of " + name), H5Pclose);
  REGATTA_REQUIRE(H5Pget_layout(plist.id()) == H5D_CHUNKED, DataError, source, ": ", name,
                  ": one chunk a volume expected");
  Dims found(32);
  const int rank = REGATTA_H5(H5Pget_chunk(plist.id(), static_cast<int>(found.size()), found.data()), source,
                              "read the chunks of " + name);
  found.resize(std::min(found.size(), static_cast<std::size_t>(rank)));
  REGATTA_REQUIRE(found == chunk, DataError, source, ": ", name, ": chunk [", join(found, ","), "], one volume [",
                  join(chunk, ","), "] expected");
  const std::vector<H5Z_filter_t> filters = filters_of(plist.id());
  const bool known = filters.empty() || filters == std::vector<H5Z_filter_t>{H5Z_FILTER_DEFLATE} ||
                     filters == std::vector<H5Z_filter_t>{H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE};
  REGATTA_REQUIRE(known, DataError, source, ": ", name, ": HDF5 filters ", join(filters, ","),
                  ", none or shuffle and deflate (2,1) expected");
  std::uint64_t bytes = value_bytes;
  for (const hsize_t n : chunk) {
    bytes *= n;
  }
  REGATTA_REQUIRE(bytes < (std::uint64_t{1} << 32), DataError, source, ": ", name, ": ", bytes,
                  " bytes a volume, less than 4 GiB allowed");
  const std::uint64_t size = file_bytes(set, source);
  const std::uint64_t most = filters.empty() ? size : size * kLargestDeflateRatio;
  REGATTA_REQUIRE(bytes <= most, DataError, source, ": ", name, ": truncated: ", bytes, " bytes a volume, the file of ",
                  size, " bytes cannot hold one");
}

void read_volume_chunk(hid_t set, const Dims& start, std::size_t value_bytes, std::span<std::byte> out,
                       const std::string& source, const std::string& label) {
  hsize_t stored = 0;
  REGATTA_H5(H5Dget_chunk_storage_size(set, start.data(), &stored), source, label);
  const Handle plist(H5Dget_create_plist(set), H5Pclose);
  const std::vector<H5Z_filter_t> filters = filters_of(plist.id());
  REGATTA_REQUIRE(filters.empty() ? stored == out.size() : stored > 0 && stored <= most_stored(out.size()), DataError,
                  source, ": cannot ", label, ": ", stored, " bytes stored for a volume of ", out.size());
  std::uint32_t skipped = 0;  // bit i: filter i was left out, since it did not help
  if (filters.empty()) {
    REGATTA_H5(H5Dread_chunk(set, H5P_DEFAULT, start.data(), &skipped, out.data()), source, label);
    return;
  }
  std::vector<std::byte> packed(stored);
  REGATTA_H5(H5Dread_chunk(set, H5P_DEFAULT, start.data(), &skipped, packed.data()), source, label);
  const auto applied = [&](H5Z_filter_t filter) {
    const auto at = std::find(filters.begin(), filters.end(), filter);
    return at != filters.end() && (skipped >> (at - filters.begin()) & 1U) == 0;
  };
  if (applied(H5Z_FILTER_DEFLATE)) {
    inflate_exactly(packed, out, source, label);
  } else {
    REGATTA_REQUIRE(stored == out.size(), DataError, source, ": cannot ", label, ": ", stored,
                    " bytes stored for a volume of ", out.size());
    std::copy(packed.begin(), packed.end(), out.begin());
  }
  if (applied(H5Z_FILTER_SHUFFLE) && value_bytes > 1) {
    packed.assign(out.begin(), out.end());
    unshuffle(packed, value_bytes, out);
  }
}

}  // namespace regatta::h5
