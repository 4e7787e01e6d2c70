// Format: 8 bytes of little-endian length, that many bytes of JSON, then the data. The format's own documentation asks
// for the cap on the header, for unique names and for data without holes.
#include "nn/weights/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/config/json.hpp"

namespace regatta {
namespace {

constexpr std::uint64_t kHeaderCap = 100'000'000;
constexpr std::uint64_t kMostValues = std::uint64_t{1} << 48;  // of one tensor, empty ones with their 0 read as 1
constexpr std::size_t kLengthBytes = 8;
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kHeaderChecksum = "xxh3_header";

constexpr std::array<std::pair<const char*, std::uint64_t>, 10> kTypeBytes = {{{"F64", 8},
                                                                               {"F32", 4},
                                                                               {"F16", 2},
                                                                               {"BF16", 2},
                                                                               {"I64", 8},
                                                                               {"I32", 4},
                                                                               {"I16", 2},
                                                                               {"I8", 1},
                                                                               {"U8", 1},
                                                                               {"BOOL", 1}}};

bool is_utf8(const std::string& text) {
  try {
    return !Json(text).dump().empty();
  } catch (const Json::type_error&) {
    return false;
  }
}

Json to_json(const SafetensorsHeader& header) {
  Json root = Json::object();
  root[kMetadata] = Json::object();
  for (const auto& [key, value] : header.metadata) {
    root[kMetadata][key] = value;
  }
  for (const TensorEntry& entry : header.entries) {
    REGATTA_REQUIRE(is_utf8(entry.name), DataError, "tensor '", one_line(entry.name, 80), "': the name is not UTF-8");
    REGATTA_REQUIRE(entry.name != kMetadata, DataError, "a tensor cannot be named '", kMetadata, "'");
    root[entry.name] = {{"dtype", entry.type}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
  }
  return root;
}

std::uint64_t natural(const Json& value, const std::string& where) {
  REGATTA_REQUIRE(value.is_number_unsigned(), DataError, where, ": ", one_line(dump_line(value), 40),
                  ", expected a whole number");
  return value.get<std::uint64_t>();
}

const Json& member(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  REGATTA_REQUIRE(found != object.end(), DataError, where, ": no '", key, "'");
  return *found;
}

/// Number of bytes by type and shape. @throws DataError where it does not fit into the file
std::uint64_t shape_bytes(const TensorEntry& entry, std::uint64_t file_bytes, const std::string& where) {
  const bool empty = std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end();
  const std::uint64_t most = empty ? kMostValues : file_bytes;  // strides of an empty tensor must not overflow either
  std::uint64_t bytes = type_bytes(entry.type);
  for (const std::int64_t size : entry.shape) {
    const std::uint64_t factor = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
    REGATTA_REQUIRE(bytes <= most / factor, DataError, where, ": shape [", join(entry.shape, ", "),
                    "] needs more bytes than the file has");
    bytes *= factor;
  }
  return empty ? 0 : bytes;
}

TensorEntry read_entry(const std::string& name, const Json& value, std::uint64_t file_bytes,
                       const std::string& source) {
  const std::string where = str(source, ": tensor '", one_line(name, 80), "'");
  REGATTA_REQUIRE(value.is_object(), DataError, where, ": expected an object");
  TensorEntry entry;
  entry.name = name;
  const Json& type = member(value, "dtype", where);
  REGATTA_REQUIRE(type.is_string() && type_bytes(type.get<std::string>()) > 0, DataError, where, ": type ",
                  one_line(dump_line(type), 40), " is not supported");
  entry.type = type.get<std::string>();
  const Json& shape = member(value, "shape", where);
  REGATTA_REQUIRE(shape.is_array() && shape.size() <= 16, DataError, where,
                  ": shape is not a list of at most 16 sizes");
  for (const Json& size : shape) {
    const std::uint64_t number = natural(size, where + ": shape");
    REGATTA_REQUIRE(number <= kMostValues, DataError, where, ": size ", number, " is too large");
    entry.shape.push_back(static_cast<std::int64_t>(number));
  }
  const Json& offsets = member(value, "data_offsets", where);
  REGATTA_REQUIRE(offsets.is_array() && offsets.size() == 2, DataError, where, ": data_offsets is not a pair");
  entry.begin = natural(offsets[0], where + ": data_offsets");
  entry.end = natural(offsets[1], where + ": data_offsets");
  REGATTA_REQUIRE(entry.begin <= entry.end && entry.end <= file_bytes, DataError, where, ": bytes ", entry.begin, "..",
                  entry.end, " are outside the ", file_bytes, " bytes of data");
  const std::uint64_t bytes = shape_bytes(entry, file_bytes, where);
  REGATTA_REQUIRE(bytes == entry.end - entry.begin, DataError, where, ": ", entry.type, " [", join(entry.shape, ", "),
                  "] has ", bytes, " bytes, the offsets say ", entry.end - entry.begin);
  return entry;
}

std::map<std::string, std::string> read_metadata(const Json& value, const std::string& source) {
  REGATTA_REQUIRE(value.is_object(), DataError, source, ": metadata is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& item : value.items()) {
    REGATTA_REQUIRE(item.value().is_string(), DataError, source, ": metadata '", one_line(item.key(), 80),
                    "' is not a text");
    metadata[item.key()] = item.value().get<std::string>();
  }
  return metadata;
}

Json parse_header(const std::string& text, const std::string& source) {
  REGATTA_REQUIRE(text.find('\0') == std::string::npos, DataError, source, ": the header has a zero byte");
  try {
    Json root = parse_json(text, source + ": header");
    REGATTA_REQUIRE(root.is_object(), DataError, source, ": header is not a JSON object");
    return root;
  } catch (const ConfigError& error) {
    throw DataError(error.what());  // a broken file, not a wrong command
  }
}

/// Files of other programs have no checksums. Ours have one of the header wherever they have one of a tensor.
void check_header_checksum(const Json& root, const std::string& source) {
  const auto metadata = root.find(kMetadata);
  if (metadata == root.end() || !metadata->is_object()) {
    return;
  }
  bool ours = false;
  for (const auto& item : metadata->items()) {
    ours = ours || item.key().starts_with(kChecksumPrefix);
  }
  if (!ours && !metadata->contains(kHeaderChecksum)) {
    return;
  }
  REGATTA_REQUIRE(metadata->contains(kHeaderChecksum), DataError, source, ": the header has lost its checksum");
  Json bare = root;
  bare[kMetadata].erase(kHeaderChecksum);
  REGATTA_REQUIRE((*metadata)[kHeaderChecksum] == hash_json(bare), DataError, source,
                  ": the header does not match its checksum");
}

void check_layout(const std::vector<TensorEntry>& entries, std::uint64_t data_bytes, const std::string& source) {
  std::uint64_t position = 0;
  for (const TensorEntry& entry : entries) {
    REGATTA_REQUIRE(entry.begin == position, DataError, source, ": tensor '", one_line(entry.name, 80),
                    "' starts at byte ", entry.begin, ", the one before it ends at ", position);
    position = entry.end;
  }
  REGATTA_REQUIRE(position == data_bytes, DataError, source, ": the tensors end at byte ", position, " of ", data_bytes,
                  " bytes of data");
}

}  // namespace

std::uint64_t type_bytes(const std::string& type) {
  for (const auto& [name, bytes] : kTypeBytes) {
    if (type == name) {
      return bytes;
    }
  }
  return 0;
}

std::string encode_header(const SafetensorsHeader& header) {
  Json root = to_json(header);
  root[kMetadata][kHeaderChecksum] = hash_json(root);
  std::string text = dump_line(root);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string out;
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) {
    out += static_cast<char>(static_cast<unsigned char>(text.size() >> (8 * byte)));
  }
  return out + text;
}

SafetensorsHeader decode_header(const std::string& file, const std::string& source, std::size_t& data_start) {
  REGATTA_REQUIRE(file.size() >= kLengthBytes, DataError, source, ": ", file.size(), " bytes, not a safetensors file");
  std::uint64_t length = 0;
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) {
    length |= std::uint64_t{static_cast<unsigned char>(file[byte])} << (8 * byte);
  }
  REGATTA_REQUIRE(length <= kHeaderCap, DataError, source, ": header of ", length, " bytes, at most ", kHeaderCap,
                  " allowed; not a safetensors file?");
  REGATTA_REQUIRE(length <= file.size() - kLengthBytes, DataError, source, ": header of ", length,
                  " bytes, the file has ", file.size());
  const Json root = parse_header(file.substr(kLengthBytes, length), source);
  check_header_checksum(root, source);
  data_start = kLengthBytes + length;
  const std::uint64_t data_bytes = file.size() - data_start;
  SafetensorsHeader header;
  for (const auto& item : root.items()) {
    if (item.key() == kMetadata) {
      header.metadata = read_metadata(item.value(), source);
    } else {
      header.entries.push_back(read_entry(item.key(), item.value(), data_bytes, source));
    }
  }
  header.metadata.erase(kHeaderChecksum);
  std::stable_sort(header.entries.begin(), header.entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_layout(header.entries, data_bytes, source);
  return header;
}

}  // namespace regatta
