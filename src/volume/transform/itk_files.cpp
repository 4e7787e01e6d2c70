// ITK's text and ANTs' binary files; HDF5 is read by itk_h5.cpp.
#include "volume/transform/itk_files.hpp"

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/transform_file.hpp"

namespace regatta {
namespace {

constexpr std::size_t kMatlabHeader = 20;  // five numbers of 32 bits
constexpr std::uint32_t kMostNumbers = 1U << 16;

std::vector<double> numbers_of(std::string_view text, const std::string& place) {
  std::vector<double> out;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    if (*at == ' ' || *at == '\t' || *at == '\r') {
      ++at;
      continue;
    }
    double value = 0.0;
    const auto [stop, error] = std::from_chars(at, end, value);
    REGATTA_REQUIRE(error == std::errc() && stop != at, DataError, place, ": '", one_line(text, 60),
                    "', numbers expected");
    out.push_back(value);
    at = stop;
  }
  return out;
}

/// Head of one MATLAB matrix.
struct MatlabVector {
  std::string name;
  std::vector<double> values;
  std::size_t bytes = 0;  ///< header, name and values
};

std::uint32_t word_at(std::string_view bytes, std::size_t at, bool swap) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return swap ? __builtin_bswap32(value) : value;
}

template <class Real, class Bits>
double real_at(std::string_view bytes, std::size_t at, bool swap) {
  Bits bits{};
  std::memcpy(&bits, bytes.data() + at, sizeof(bits));
  if (swap) {
    if constexpr (sizeof(Bits) == 8) {
      bits = __builtin_bswap64(bits);
    } else {
      bits = __builtin_bswap32(bits);
    }
  }
  return static_cast<double>(std::bit_cast<Real>(bits));
}

/// Type words: thousands 0 for little endian and 1 for big, hundreds the order of rows and columns, tens 0 for 64 bits
/// and 1 for 32, ones 0 for numbers.
std::optional<MatlabVector> matlab_vector(std::string_view bytes) {
  if (bytes.size() < kMatlabHeader) {
    return std::nullopt;
  }
  const bool swap = word_at(bytes, 0, false) > 0xFFFF;
  const std::uint32_t type = word_at(bytes, 0, swap);
  const std::uint32_t rows = word_at(bytes, 4, swap);
  const std::uint32_t columns = word_at(bytes, 8, swap);
  const std::uint32_t name = word_at(bytes, 16, swap);
  const bool plausible = type < 2000 && type / 100 % 10 < 2 && type / 10 % 10 < 2 && type % 10 == 0 && rows >= 1 &&
                         columns == 1 && rows <= kMostNumbers && word_at(bytes, 12, swap) == 0 && name >= 2 &&
                         name <= 200;
  const std::size_t width = type / 10 % 10 == 0 ? 8 : 4;
  MatlabVector out;
  out.bytes = kMatlabHeader + name + rows * width;
  if (!plausible || bytes.size() < out.bytes || bytes[kMatlabHeader + name - 1] != '\0') {
    return std::nullopt;
  }
  out.name = std::string(bytes.substr(kMatlabHeader, name - 1));
  for (std::uint32_t i = 0; i < rows; ++i) {
    const std::size_t at = kMatlabHeader + name + i * width;
    out.values.push_back(width == 8 ? real_at<double, std::uint64_t>(bytes, at, swap)
                                    : real_at<float, std::uint32_t>(bytes, at, swap));
  }
  return out;
}

void append_word(std::string& out, std::uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_matlab(std::string& out, const std::string& name, const std::vector<double>& values) {
  static_assert(std::endian::native == std::endian::little);
  append_word(out, 0);  // little endian, 64 bits
  append_word(out, static_cast<std::uint32_t>(values.size()));
  append_word(out, 1);
  append_word(out, 0);
  append_word(out, static_cast<std::uint32_t>(name.size() + 1));
  out.append(name.c_str(), name.size() + 1);
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
}

}  // namespace

std::vector<ItkTransform> read_itk_text(std::string_view text, const std::string& source) {
  std::vector<ItkTransform> out;
  int number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    const std::string_view trimmed = trim(line);
    if (trimmed.empty() || trimmed.front() == '#') {
      continue;
    }
    const std::string place = str(source, ":", number);
    const std::size_t colon = trimmed.find(':');
    REGATTA_REQUIRE(colon != std::string_view::npos, DataError, place, ": '", one_line(trimmed, 60),
                    "', 'Name: value' expected");
    const std::string_view name = trimmed.substr(0, colon);
    const std::string_view value = trim(trimmed.substr(colon + 1));
    if (name == "Transform") {
      out.push_back({std::string(value), {}, {}, {}});
      continue;
    }
    REGATTA_REQUIRE(!out.empty() && (name == "Parameters" || name == "FixedParameters"), DataError, place, ": '",
                    one_line(trimmed, 60), "', Transform, Parameters or FixedParameters expected");
    (name == "Parameters" ? out.back().numbers : out.back().fixed) = numbers_of(value, place);
  }
  return out;
}

bool is_itk_matlab(std::string_view bytes) {
  const std::optional<MatlabVector> first = matlab_vector(bytes);
  return first && first->name.find("Transform_") != std::string::npos;
}

std::vector<ItkTransform> read_itk_matlab(std::string_view bytes, const std::string& source) {
  std::vector<ItkTransform> out;
  while (!bytes.empty()) {
    const std::optional<MatlabVector> numbers = matlab_vector(bytes);
    REGATTA_REQUIRE(numbers.has_value(), DataError, source, ": damaged after ", out.size(), " transforms");
    bytes.remove_prefix(numbers->bytes);
    const std::optional<MatlabVector> fixed = matlab_vector(bytes);
    REGATTA_REQUIRE(fixed && fixed->name == "fixed", DataError, source, ": ", one_line(numbers->name, 60),
                    ": the vector 'fixed' is missing or damaged");
    bytes.remove_prefix(fixed->bytes);
    out.push_back({numbers->name, fixed->values, numbers->values, {}});
  }
  return out;
}

void write_itk_affine(const std::filesystem::path& path, const Affine& fixed_to_moving) {
  const std::string ending = path.extension().string();
  REGATTA_REQUIRE(ending == ".txt" || ending == ".tfm" || ending == ".mat", DataError, path.string(),
                  ": .txt or .tfm (ITK's text) or .mat (ANTs' binary) expected for an affine");
  const Affine lps = with_turned_axes(fixed_to_moving);
  const std::vector<double> numbers = {lps[0], lps[1], lps[2],  lps[4], lps[5], lps[6],
                                       lps[8], lps[9], lps[10], lps[3], lps[7], lps[11]};
  std::string out;
  if (ending == ".mat") {
    append_matlab(out, "AffineTransform_double_3_3", numbers);
    append_matlab(out, "fixed", {0.0, 0.0, 0.0});
  } else {
    out = str("#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\nParameters: ",
              join(numbers, " "), "\nFixedParameters: 0 0 0\n");
  }
  write_file_atomically(path, out);
}

}  // namespace regatta
