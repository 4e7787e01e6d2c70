#include "files.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>

#include <zlib.h>

#include "regatta/base/error.hpp"

namespace regatta::test {
namespace {

template <class T>
void append(std::string& out, T value, bool swap) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  if (swap) {
    std::reverse(raw, raw + sizeof(T));
  }
  out.append(raw, sizeof(T));
}

void append_voxel(std::string& out, int datatype, double value, bool swap) {
  switch (datatype) {
    case 2: append(out, static_cast<std::uint8_t>(value), swap); break;
    case 4: append(out, static_cast<std::int16_t>(value), swap); break;
    case 8: append(out, static_cast<std::int32_t>(value), swap); break;
    case 16: append(out, static_cast<float>(value), swap); break;
    case 64: append(out, value, swap); break;
    case 256: append(out, static_cast<std::int8_t>(value), swap); break;
    case 512: append(out, static_cast<std::uint16_t>(value), swap); break;
    case 768: append(out, static_cast<std::uint32_t>(value), swap); break;
    case 1024: append(out, static_cast<std::int64_t>(value), swap); break;
    case 1280: append(out, static_cast<std::uint64_t>(value), swap); break;
    default: throw BugError(str("test: datatype ", datatype));
  }
}

int bits_of(int datatype) {
  std::string one;
  append_voxel(one, datatype, 0.0, false);
  return static_cast<int>(8 * one.size());
}

/// Writes fields of either version at their offsets, swapped if asked.
class HeaderWriter {
 public:
  HeaderWriter(std::size_t bytes, bool swap) : out_(bytes, '\0'), swap_(swap) {}

  template <class T>
  void put(std::size_t offset, T value) {
    std::string raw;
    append(raw, value, swap_);
    out_.replace(offset, raw.size(), raw);
  }

  std::string& bytes() { return out_; }

 private:
  std::string out_;
  bool swap_;
};

std::string header1(const NiftiMaker& m) {
  HeaderWriter h(352, m.swap);
  h.put(0, std::int32_t{348});
  h.put(40, static_cast<std::int16_t>(m.frames > 0 ? 4 : 3));
  h.put(48, static_cast<std::int16_t>(m.frames));
  for (std::size_t i = 0; i < 3; ++i) {
    h.put(42 + 2 * i, static_cast<std::int16_t>(m.shape[i]));
    h.put(256 + 4 * i, static_cast<float>(m.quaternion[i]));
    h.put(268 + 4 * i, static_cast<float>(m.qoffset[i]));
  }
  h.put(70, static_cast<std::int16_t>(m.datatype));
  h.put(72, static_cast<std::int16_t>(bits_of(m.datatype)));
  for (std::size_t i = 0; i < 4; ++i) {
    h.put(76 + 4 * i, static_cast<float>(m.pixdim[i]));
  }
  h.put(108, m.pair ? 0.0F : 352.0F);
  h.put(112, static_cast<float>(m.slope));
  h.put(116, static_cast<float>(m.inter));
  h.put(252, static_cast<std::int16_t>(m.qform_code));
  h.put(254, static_cast<std::int16_t>(m.sform_code));
  for (std::size_t i = 0; i < 12; ++i) {
    h.put(280 + 4 * i, static_cast<float>(m.affine[i]));
  }
  h.bytes().replace(344, 4, std::string(m.pair ? "ni1\0" : "n+1\0", 4));
  return h.bytes();
}

std::string header2(const NiftiMaker& m) {
  HeaderWriter h(544, m.swap);
  h.put(0, std::int32_t{540});
  h.bytes().replace(4, 8, std::string(m.pair ? "ni2\0\r\n\032\n" : "n+2\0\r\n\032\n", 8));
  h.put(12, static_cast<std::int16_t>(m.datatype));
  h.put(14, static_cast<std::int16_t>(bits_of(m.datatype)));
  h.put(16, std::int64_t{m.frames > 0 ? 4 : 3});
  h.put(48, std::int64_t{m.frames});
  for (std::size_t i = 0; i < 3; ++i) {
    h.put(24 + 8 * i, std::int64_t{m.shape[i]});
    h.put(352 + 8 * i, m.quaternion[i]);
    h.put(376 + 8 * i, m.qoffset[i]);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    h.put(104 + 8 * i, m.pixdim[i]);
  }
  h.put(168, std::int64_t{m.pair ? 0 : 544});
  h.put(176, m.slope);
  h.put(184, m.inter);
  h.put(344, static_cast<std::int32_t>(m.qform_code));
  h.put(348, static_cast<std::int32_t>(m.sform_code));
  for (std::size_t i = 0; i < 12; ++i) {
    h.put(400 + 8 * i, m.affine[i]);
  }
  return h.bytes();
}

std::string deflate_bytes(const std::string& bytes, int window_bits) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

std::string NiftiMaker::header() const {
  return second ? header2(*this) : header1(*this);
}

std::string NiftiMaker::voxels() const {
  std::vector<double> all = values;
  if (all.empty()) {
    all.resize(static_cast<std::size_t>(voxel_count(shape) * std::max<std::int64_t>(frames, 1)));
    std::iota(all.begin(), all.end(), 0.0);
  }
  std::string out;
  for (const double value : all) {
    append_voxel(out, datatype, value, swap);
  }
  return out;
}

std::string gzip(const std::string& bytes) {
  return deflate_bytes(bytes, 15 + 16);
}

std::string zip(const std::vector<std::pair<std::string, std::string>>& arrays, bool deflated) {
  std::string out;
  std::string directory;
  for (const auto& [name, npy_bytes] : arrays) {
    const auto offset = static_cast<std::uint32_t>(out.size());
    const std::string data = deflated ? deflate_bytes(npy_bytes, -15) : npy_bytes;
    std::string common;  // from "version needed" to "extra length", equal in both headers
    append(common, std::uint16_t{20}, false);
    append(common, std::uint16_t{0}, false);
    append(common, static_cast<std::uint16_t>(deflated ? 8 : 0), false);
    append(common, std::uint32_t{0}, false);
    append(common,
           static_cast<std::uint32_t>(
               crc32_z(0, reinterpret_cast<const unsigned char*>(npy_bytes.data()), npy_bytes.size())),
           false);
    append(common, static_cast<std::uint32_t>(data.size()), false);
    append(common, static_cast<std::uint32_t>(npy_bytes.size()), false);
    append(common, static_cast<std::uint16_t>(name.size()), false);
    append(common, std::uint16_t{0}, false);
    out += "PK\3\4" + common + name + data;
    directory += "PK\1\2" + std::string("\x14\0", 2) + common + std::string(10, '\0');
    append(directory, offset, false);
    directory += name;
  }
  const auto start = static_cast<std::uint32_t>(out.size());
  out += directory + "PK\5\6" + std::string(4, '\0');
  append(out, static_cast<std::uint16_t>(arrays.size()), false);
  append(out, static_cast<std::uint16_t>(arrays.size()), false);
  append(out, static_cast<std::uint32_t>(directory.size()), false);
  append(out, start, false);
  append(out, std::uint16_t{0}, false);
  return out;
}

std::string npy(const Shape3& shape, const std::vector<double>& values, const std::string& descr, bool fortran) {
  std::string text = str("{'descr': '", descr, "', 'fortran_order': ", fortran ? "True" : "False", ", 'shape': (",
                         join(shape, ", "), "), }");
  text.resize(118, ' ');
  text.back() = '\n';
  std::string out("\x93NUMPY\1\0", 8);
  append(out, static_cast<std::uint16_t>(text.size()), false);
  out += text;
  const bool swap = descr[0] == '>';
  for (const double value : values) {
    if (descr.substr(1) == "f8") {
      append(out, value, swap);
    } else if (descr.substr(1) == "f4") {
      append(out, static_cast<float>(value), swap);
    } else if (descr.substr(1) == "i2") {
      append(out, static_cast<std::int16_t>(value), swap);
    } else {
      out.append(8, '\0');  // an object reference
    }
  }
  return out;
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string error_text(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace regatta::test
