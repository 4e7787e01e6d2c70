// The header of a safetensors file: its JSON, its rules, its bounds. Knows types by name and bytes, not tensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace regatta {

/// Metadata keys "xxh3/<tensor>" hold the tensors' checksums.
inline constexpr const char* kChecksumPrefix = "xxh3/";

/// One tensor as the header describes it. Offsets count from the first byte after the header.
struct TensorEntry {
  std::string name;
  std::string type;  ///< "F32", "I64" ...
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Bytes of one value, 0 for a type that we do not know.
std::uint64_t type_bytes(const std::string& type);

/// Length field and JSON text, padded with blanks to a multiple of 8. Adds a checksum of the header itself.
std::string encode_header(const SafetensorsHeader& header);

/// Reads and checks the front of `file`: lengths, names, types, shapes against bytes; tensors must follow each other
/// without gap or overlap to the end of the file; the header's own checksum where it has one.
/// @param source  the path, for messages
/// @param data_start  gets the position of the first byte of data
/// @throws DataError
SafetensorsHeader decode_header(const std::string& file, const std::string& source, std::size_t& data_start);

}  // namespace regatta
