#include "volume/archive/volume_chunk.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <zlib.h>

#include "volume/formats/byte_reader.hpp"
#include "volume/grid/parallel.hpp"

namespace regatta::h5 {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;   // of a volume, deflated by one thread
constexpr std::size_t kWindowBytes = std::size_t{1} << 15;  // that deflate looks back

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

/// The shuffle filter.
std::vector<std::byte> shuffle(std::span<const std::byte> in, std::size_t value_bytes) {
  const std::size_t values = in.size() / value_bytes;
  std::vector<std::byte> out(in.size());
  for (std::size_t b = 0; b < value_bytes; ++b) {
    for (std::size_t i = 0; i < values; ++i) {
      out[b * values + i] = in[i * value_bytes + b];
    }
  }
  return out;
}

uLong adler32_of(std::span<const std::byte> bytes) {
  return ::adler32(::adler32(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()),
                   static_cast<uInt>(bytes.size()));
}

/// Part of one raw deflate stream: it ends on a byte's edge, and refers to the bytes before it.
/// @return false if it does not fit into `out`, or there is no memory
bool deflate_piece(std::span<const std::byte> all, std::size_t begin, int level, std::vector<std::byte>& out) {
  const std::size_t end = std::min(all.size(), begin + kPieceBytes);
  const auto at = [&](std::size_t i) { return reinterpret_cast<const Bytef*>(all.data()) + i; };
  z_stream stream{};
  if (::deflateInit2(&stream, level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
    return false;
  }
  const std::size_t before = std::min(begin, kWindowBytes);
  ::deflateSetDictionary(&stream, at(begin - before), static_cast<uInt>(before));
  stream.next_in = const_cast<Bytef*>(at(begin));  // zlib does not write there
  stream.avail_in = static_cast<uInt>(end - begin);
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool last = end == all.size();
  const int code = ::deflate(&stream, last ? Z_FINISH : Z_SYNC_FLUSH);
  const bool whole = code == (last ? Z_STREAM_END : Z_OK) && stream.avail_in == 0 && stream.avail_out > 0;
  out.resize(out.size() - stream.avail_out);
  ::deflateEnd(&stream);
  return whole;
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
  haddr_t address = 0;
  std::uint32_t skipped = 0;  // bit i: filter i was left out, since it did not help
  REGATTA_H5(H5Dget_chunk_info_by_coord(set, start.data(), &skipped, &address, &stored), source, label);
  const Handle plist(H5Dget_create_plist(set), H5Pclose);
  const std::vector<H5Z_filter_t> filters = filters_of(plist.id());
  REGATTA_REQUIRE(filters.empty() ? stored == out.size() : stored > 0 && stored <= most_stored(out.size()), DataError,
                  source, ": cannot ", label, ": ", stored, " bytes stored for a volume of ", out.size());
  std::uint32_t ignored = 0;  // 1.10.8 says 0 here for a chunk that it has just written, whatever was left out
  if (filters.empty()) {
    REGATTA_H5(H5Dread_chunk(set, H5P_DEFAULT, start.data(), &ignored, out.data()), source, label);
    return;
  }
  std::vector<std::byte> packed(stored);
  REGATTA_H5(H5Dread_chunk(set, H5P_DEFAULT, start.data(), &ignored, packed.data()), source, label);
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

std::vector<std::byte> deflate_volume(std::span<const std::byte> values, std::size_t value_bytes, int level,
                                      int threads) {
  const std::vector<std::byte> shuffled = value_bytes > 1 ? shuffle(values, value_bytes) : std::vector<std::byte>();
  const std::span<const std::byte> in = shuffled.empty() ? values : std::span(shuffled);
  const std::size_t count = (in.size() + kPieceBytes - 1) / kPieceBytes;
  std::vector<std::vector<std::byte>> pieces(count,
                                             std::vector<std::byte>(most_stored(kPieceBytes)));  // more is no use
  std::vector<uLong> sums(count);
  std::atomic<bool> whole = true;
  parallel_for(static_cast<std::int64_t>(count), threads, [&](std::int64_t first, std::int64_t last) {
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
      const std::size_t begin = i * kPieceBytes;
      sums[i] = adler32_of(in.subspan(begin, std::min(kPieceBytes, in.size() - begin)));
      if (!deflate_piece(in, begin, level, pieces[i])) {
        whole = false;
      }
    }
  });
  if (!whole) {
    return {};
  }
  std::vector<std::byte> out = {std::byte{0x78}, std::byte{0x9c}};  // deflate with a window of 32 KiB
  uLong sum = ::adler32(0, nullptr, 0);
  for (std::size_t i = 0; i < count; ++i) {
    out.insert(out.end(), pieces[i].begin(), pieces[i].end());
    const std::size_t bytes = std::min(kPieceBytes, in.size() - i * kPieceBytes);
    sum = ::adler32_combine(sum, sums[i], static_cast<z_off_t>(bytes));
  }
  for (const int shift : {24, 16, 8, 0}) {
    out.push_back(static_cast<std::byte>(sum >> shift & 0xffU));
  }
  return out.size() < in.size() ? out : std::vector<std::byte>();
}

void write_volume_chunk(hid_t set, const Dims& start, std::span<const std::byte> values,
                        std::span<const std::byte> deflated, const std::string& source) {
  const Handle plist(H5Dget_create_plist(set), H5Pclose);
  const auto all = (std::uint32_t{1} << static_cast<unsigned>(H5Pget_nfilters(plist.id()))) - 1;
  const std::uint32_t skipped = deflated.empty() ? all : 0;
  const std::span<const std::byte> stored = deflated.empty() ? values : deflated;
  REGATTA_H5(H5Dwrite_chunk(set, H5P_DEFAULT, skipped, start.data(), stored.size(), stored.data()), source,
             "write a volume");
}

}  // namespace regatta::h5
