// libFuzzer target over the header of safetensors files: whatever the bytes are, decode_header returns entries that
// lie inside them, follow each other and have the bytes of their shapes, or throws a DataError of one line. Built by
// the preset `fuzz`; test/fuzz/run.sh makes the corpus and runs it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "nn/weights/safetensors_header.hpp"
#include "regatta/base/error.hpp"

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();  // libFuzzer keeps the input
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string file(reinterpret_cast<const char*>(bytes), size);
  std::size_t data_start = 0;
  try {
    const regatta::SafetensorsHeader header = regatta::decode_header(file, "fuzz", data_start);
    std::uint64_t position = 0;
    for (const regatta::TensorEntry& entry : header.entries) {
      std::uint64_t expected = regatta::type_bytes(entry.type);
      require(expected > 0);
      for (const std::int64_t edge : entry.shape) {
        require(edge >= 0);
        expected *= static_cast<std::uint64_t>(edge);
      }
      require(entry.begin == position && entry.end - entry.begin == expected);
      position = entry.end;
    }
    require(data_start <= size && position == size - data_start);
  } catch (const regatta::DataError& error) {
    require(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
