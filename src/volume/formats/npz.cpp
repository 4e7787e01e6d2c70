#include "volume/formats/npz.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include <zlib.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "volume/formats/byte_reader.hpp"
#include "volume/formats/voxel_decode.hpp"

namespace regatta {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 33;
constexpr std::uint64_t kLargestArray = std::uint64_t{1} << 36;

/// Little-endian numbers out of the file's bytes, with every position checked.
class ZipBytes {
 public:
  ZipBytes(std::string_view bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  std::uint64_t number(std::uint64_t at, std::size_t size) const {
    const std::string_view raw = part(at, size);
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(raw[i]);
    }
    return value;
  }

  std::string_view part(std::uint64_t at, std::uint64_t size) const {
    REGATTA_REQUIRE(at <= bytes_.size() && size <= bytes_.size() - at, DataError, source_,
                    ": truncated or damaged zip archive: ", size, " bytes expected at byte ", at, " of ",
                    bytes_.size());
    return bytes_.substr(at, size);
  }

  std::string_view all() const { return bytes_; }
  const std::string& source() const { return source_; }

 private:
  std::string_view bytes_;
  const std::string& source_;
};

struct ZipEntry {
  std::uint64_t method = 0;
  std::uint64_t crc = 0;
  std::uint64_t packed = 0;
  std::uint64_t size = 0;
  std::uint64_t header = 0;
};

/// The 64-bit sizes of an entry whose 32-bit ones are saturated: extra field 1, in the order size, packed, header.
void read_zip64_sizes(const ZipBytes& zip, std::uint64_t extra, std::uint64_t extra_bytes, ZipEntry& entry) {
  const std::uint64_t end = extra + extra_bytes;
  while (extra + 4 <= end) {
    const std::uint64_t id = zip.number(extra, 2);
    const std::uint64_t bytes = zip.number(extra + 2, 2);
    if (id == 1) {
      std::uint64_t at = extra + 4;
      for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.header}) {
        if (*value == 0xFFFFFFFFU) {
          *value = zip.number(at, 8);
          at += 8;
        }
      }
      return;
    }
    extra += 4 + bytes;
  }
}

/// The entries of the archive's directory, by name.
std::map<std::string, ZipEntry> read_directory(const ZipBytes& zip) {
  const std::size_t end = zip.all().rfind(std::string_view("PK\5\6", 4));
  REGATTA_REQUIRE(end != std::string_view::npos, DataError, zip.source(),
                  ": not an npz file, or truncated: no zip directory at its end");
  zip.part(end, 22);
  std::uint64_t count = zip.number(end + 10, 2);
  std::uint64_t at = zip.number(end + 16, 4);
  if (at == 0xFFFFFFFFU || count == 0xFFFFU) {  // zip64: the locator stands just before
    const std::uint64_t record = zip.number(end - 12, 8);
    count = zip.number(record + 32, 8);
    at = zip.number(record + 48, 8);
  }
  std::map<std::string, ZipEntry> entries;
  for (std::uint64_t i = 0; i < count; ++i) {
    REGATTA_REQUIRE(zip.part(at, 4) == std::string_view("PK\1\2", 4), DataError, zip.source(),
                    ": damaged zip directory");
    ZipEntry entry;
    entry.method = zip.number(at + 10, 2);
    entry.crc = zip.number(at + 16, 4);
    entry.packed = zip.number(at + 20, 4);
    entry.size = zip.number(at + 24, 4);
    entry.header = zip.number(at + 42, 4);
    const std::uint64_t name_bytes = zip.number(at + 28, 2);
    const std::uint64_t extra_bytes = zip.number(at + 30, 2);
    const std::string name(zip.part(at + 46, name_bytes));
    read_zip64_sizes(zip, at + 46 + name_bytes, extra_bytes, entry);
    entries.emplace(name, entry);
    at += 46 + name_bytes + extra_bytes + zip.number(at + 32, 2);
  }
  return entries;
}

ZipEntry find_entry(const ZipBytes& zip, const std::string& wanted) {
  const auto entries = read_directory(zip);
  const auto found = entries.find(wanted);
  if (found != entries.end()) {
    return found->second;
  }
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries) {
    names.push_back(one_line(name, 40));
  }
  throw DataError(str(zip.source(), ": no array '", wanted, "', it has: ", join(names, ", ")));
}

std::string inflate_entry(std::string_view packed, const ZipEntry& entry, const std::string& what) {
  REGATTA_REQUIRE(entry.size <= kLargestArray && entry.size <= packed.size() * kLargestDeflateRatio, DataError, what,
                  ": ", entry.size, " bytes cannot come out of ", packed.size());
  std::string out(entry.size, '\0');
  z_stream stream{};
  REGATTA_REQUIRE(::inflateInit2(&stream, -15) == Z_OK, DataError, what, ": cannot start decompression");
  struct Ender {
    z_stream& stream;
    ~Ender() { ::inflateEnd(&stream); }
  } ender{stream};
  std::size_t in = 0;
  std::size_t done = 0;
  int code = Z_OK;
  while (code == Z_OK) {
    const std::size_t in_now = std::min<std::size_t>(packed.size() - in, 1U << 30);
    const std::size_t out_now = std::min<std::size_t>(out.size() - done, 1U << 30);
    stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(packed.data() + in));
    stream.avail_in = static_cast<unsigned>(in_now);
    stream.next_out = reinterpret_cast<unsigned char*>(out.data() + done);
    stream.avail_out = static_cast<unsigned>(out_now);
    code = ::inflate(&stream, Z_NO_FLUSH);
    in += in_now - stream.avail_in;
    done += out_now - stream.avail_out;
  }
  REGATTA_REQUIRE(code == Z_STREAM_END && done == out.size(), DataError, what, ": damaged deflate data");
  return out;
}

std::string entry_bytes(const ZipBytes& zip, const ZipEntry& entry, const std::string& what) {
  REGATTA_REQUIRE(zip.part(entry.header, 4) == std::string_view("PK\3\4", 4), DataError, what,
                  ": damaged zip archive: no local header");
  const std::uint64_t data = entry.header + 30 + zip.number(entry.header + 26, 2) + zip.number(entry.header + 28, 2);
  const std::string_view packed = zip.part(data, entry.packed);
  REGATTA_REQUIRE(entry.method == 0 || entry.method == 8, DataError, what, ": zip method ", entry.method,
                  ", 0 (stored) or 8 (deflate) allowed");
  REGATTA_REQUIRE(entry.method == 8 || entry.size == entry.packed, DataError, what, ": damaged zip directory");
  std::string bytes = entry.method == 8 ? inflate_entry(packed, entry, what) : std::string(packed);
  const auto crc = ::crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  REGATTA_REQUIRE(crc == entry.crc, DataError, what, ": damaged: its CRC-32 is not the archive's");
  return bytes;
}

struct NpyHeader {
  RawFormat format;
  bool fortran = false;
  std::vector<std::int64_t> shape;
  std::size_t data = 0;
};

/// The text after `'key':` in the header's dictionary.
std::string_view dictionary_value(std::string_view text, std::string_view key, const std::string& what) {
  const std::size_t at = text.find(str('\'', key, '\''));
  REGATTA_REQUIRE(at != std::string_view::npos, DataError, what, ": npy header without '", key, "'");
  const std::size_t colon = text.find(':', at);
  REGATTA_REQUIRE(colon != std::string_view::npos, DataError, what, ": damaged npy header");
  return trim(text.substr(colon + 1));
}

RawFormat format_of(std::string_view descr, const std::string& what) {
  struct Row {
    std::string_view code;
    RawType type;
  };
  static constexpr Row kRows[] = {
      {"b1", RawType::kUint8}, {"u1", RawType::kUint8},   {"i1", RawType::kInt8},    {"u2", RawType::kUint16},
      {"i2", RawType::kInt16}, {"u4", RawType::kUint32},  {"i4", RawType::kInt32},   {"u8", RawType::kUint64},
      {"i8", RawType::kInt64}, {"f2", RawType::kFloat16}, {"f4", RawType::kFloat32}, {"f8", RawType::kFloat64},
  };
  const std::string_view code = descr.size() >= 5 && descr[0] == '\'' && descr[4] == '\'' ? descr.substr(1, 3) : "";
  for (const Row& row : kRows) {
    if (code.size() == 3 && code.substr(1) == row.code && std::string_view("<>|=").find(code[0]) != std::string::npos) {
      return {row.type, code[0] == '>', 1.0, 0.0};
    }
  }
  throw DataError(str(what, ": npy type ", one_line(descr.substr(0, 12)), ", integers or floats allowed"));
}

std::vector<std::int64_t> shape_of(std::string_view text, const std::string& what) {
  const std::size_t close = text.find(')');
  REGATTA_REQUIRE(!text.empty() && text[0] == '(' && close != std::string_view::npos, DataError, what,
                  ": damaged npy header");
  std::vector<std::int64_t> shape;
  for (const std::string& item : split(text.substr(1, close - 1), ',')) {
    const std::string_view number = trim(item);
    if (number.empty()) {
      continue;
    }
    std::int64_t value = 0;
    const auto result = std::from_chars(number.data(), number.data() + number.size(), value);
    REGATTA_REQUIRE(
        result.ec == std::errc() && result.ptr == number.data() + number.size() && value >= 1 && value <= (1 << 20),
        DataError, what, ": npy shape ", one_line(text.substr(0, close + 1)), ", 1..1048576 allowed");
    shape.push_back(value);
  }
  return shape;
}

NpyHeader parse_npy(std::string_view bytes, const std::string& what) {
  REGATTA_REQUIRE(bytes.size() >= 12 && bytes.substr(0, 6) == "\x93NUMPY", DataError, what, ": not an npy array");
  const int version = bytes[6];
  REGATTA_REQUIRE(version >= 1 && version <= 3, DataError, what, ": npy version ", version, ", 1..3 allowed");
  const ZipBytes reader(bytes, what);
  const std::size_t start = version == 1 ? 10 : 12;
  const std::uint64_t header_bytes = reader.number(8, version == 1 ? 2 : 4);
  const std::string_view text = reader.part(start, header_bytes);
  NpyHeader header;
  header.format = format_of(dictionary_value(text, "descr", what), what);
  header.fortran = dictionary_value(text, "fortran_order", what).starts_with("True");
  header.shape = shape_of(dictionary_value(text, "shape", what), what);
  header.data = start + header_bytes;
  return header;
}

Shape3 squeeze(std::vector<std::int64_t> shape, const std::string& what) {
  const std::string given = join(shape, ",");
  while (shape.size() > 3 && shape.front() == 1) {
    shape.erase(shape.begin());
  }
  while (shape.size() > 3 && shape.back() == 1) {
    shape.pop_back();
  }
  REGATTA_REQUIRE(shape.size() == 3, DataError, what, ": shape [", given, "], three axes expected");
  return {shape[0], shape[1], shape[2]};
}

/// @return labels that were rounded
std::int64_t decode_array(std::string_view bytes, const NpyHeader& header, const Shape3& shape, const std::string& what,
                          std::vector<float>* image, std::vector<std::int32_t>* labels) {
  VoxelSink sink(what, shape, image, labels);
  const std::size_t voxel = raw_bytes(header.format.type);
  const auto* raw = reinterpret_cast<const std::byte*>(bytes.data()) + header.data;
  // Fortran order is the order of NIfTI files: slices along the last axis. C order is ours.
  const std::int64_t runs = header.fortran ? shape[2] : shape[0];
  const std::int64_t run = voxel_count(shape) / runs;
  std::vector<double> values(static_cast<std::size_t>(run));
  for (std::int64_t i = 0; i < runs; ++i) {
    decode_values(raw + static_cast<std::size_t>(i * run) * voxel, header.format, values);
    if (header.fortran) {
      sink.put_slices(i, 1, values);
    } else {
      sink.put_run(i * run, values);
    }
  }
  return sink.tell_rounded();
}

/// @throws DataError unless the array's bytes are those of its shape
void require_bytes(const std::string& bytes, const NpyHeader& header, const std::string& what) {
  std::uint64_t need = raw_bytes(header.format.type);
  for (const std::int64_t n : header.shape) {
    REGATTA_REQUIRE(need <= kLargestArray / static_cast<std::uint64_t>(n), DataError, what, ": shape ",
                    join(header.shape, "x"), ": overflow");
    need *= static_cast<std::uint64_t>(n);
  }
  REGATTA_REQUIRE(bytes.size() - header.data == need, DataError, what, ": shape ", join(header.shape, "x"), " needs ",
                  need, " bytes, ", bytes.size() - header.data, " found");
}

/// The name of the array that a file of a field holds.
std::string field_array(const ZipBytes& zip) {
  const auto entries = read_directory(zip);
  if (entries.size() == 1) {
    return entries.begin()->first;
  }
  return entries.contains("arr_0.npy") || !entries.contains("vol.npy") ? "arr_0.npy" : "vol.npy";
}

/// Place of each axis' step in the file's order, in values.
std::array<std::int64_t, 4> steps_of(const std::vector<std::int64_t>& shape, bool fortran) {
  std::array<std::int64_t, 4> steps{};
  std::int64_t step = 1;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t axis = fortran ? i : 3 - i;
    steps[axis] = step;
    step *= shape[axis];
  }
  return steps;
}

}  // namespace

NpzArray read_npz(const std::filesystem::path& path, const std::string& name, std::vector<float>* image,
                  std::vector<std::int32_t>* labels) {
  const std::string source = path.string();
  const std::string file = read_file(path, kLargestFile);
  const ZipBytes zip(file, source);
  const ZipEntry entry = find_entry(zip, name + ".npy");
  const std::string what = str(source, ": array '", name, "'");
  const std::string bytes = entry_bytes(zip, entry, what);
  const NpyHeader header = parse_npy(bytes, what);
  const Shape3 shape = squeeze(header.shape, what);
  require_bytes(bytes, header, what);
  const bool voxels = image != nullptr || labels != nullptr;
  return {shape, raw_name(header.format.type),
          voxels ? decode_array(bytes, header, shape, what, image, labels) : std::int64_t{0}};
}

NpzField read_npz_field(const std::filesystem::path& path) {
  const std::string source = path.string();
  const std::string file = read_file(path, kLargestFile);
  const ZipBytes zip(file, source);
  const std::string name = field_array(zip);
  const std::string what = str(source, ": array '", one_line(name, 40), "'");
  const std::string bytes = entry_bytes(zip, find_entry(zip, name), what);
  NpyHeader header = parse_npy(bytes, what);
  require_bytes(bytes, header, what);
  const std::string given = join(header.shape, ",");
  while (header.shape.size() > 4 && header.shape.front() == 1) {
    header.shape.erase(header.shape.begin());
  }
  const bool four = header.shape.size() == 4;
  const bool last = four && header.shape[3] == 3;
  REGATTA_REQUIRE(last || (four && header.shape[0] == 3), DataError, what, ": shape [", given,
                  "]: no displacement field, [D, H, W, 3] or [3, D, H, W] expected");
  std::vector<double> values(static_cast<std::size_t>(header.shape[0] * header.shape[1]) *
                             static_cast<std::size_t>(header.shape[2] * header.shape[3]));
  decode_values(reinterpret_cast<const std::byte*>(bytes.data()) + header.data, header.format, values);
  const std::array<std::int64_t, 4> steps = steps_of(header.shape, header.fortran);
  const std::size_t first = last ? 0 : 1;
  const std::int64_t component = last ? steps[3] : steps[0];
  NpzField out;
  out.shape = {header.shape[first], header.shape[first + 1], header.shape[first + 2]};
  out.values.reserve(values.size());
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t i = 0; i < out.shape[0]; ++i) {
      for (std::int64_t j = 0; j < out.shape[1]; ++j) {
        for (std::int64_t k = 0; k < out.shape[2]; ++k) {
          const std::int64_t at = c * component + i * steps[first] + j * steps[first + 1] + k * steps[first + 2];
          out.values.push_back(static_cast<float>(values[static_cast<std::size_t>(at)]));
        }
      }
    }
  }
  return out;
}

}  // namespace regatta
