#include "regatta/base/event_file.hpp"

#include <array>
#include <bit>

namespace regatta {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1U) ^ ((value & 1U) != 0 ? 0x82f63b78U : 0U);
    }
    table[byte] = value;
  }
  return table;
}

template <class Number>
void append_bytes(std::string& out, Number value) {  // little-endian
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    out += static_cast<char>(value >> (8 * i) & 0xffU);
  }
}

/// TFRecord's form of a checksum, so that those of data with checksums in it stay useful.
std::uint32_t masked_crc(std::string_view data) {
  const std::uint32_t crc = crc32c(data);
  return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U;
}

// Protocol buffers: a field is its number and wire type, then its value.
enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) {
    out += static_cast<char>((value & 0x7fU) | 0x80U);
  }
  out += static_cast<char>(value);
}

void append_key(std::string& out, std::uint64_t field, WireType type) {
  append_varint(out, field << 3U | type);
}

void append_text(std::string& out, std::uint64_t field, std::string_view text) {
  append_key(out, field, kBytes);
  append_varint(out, text.size());
  out += text;
}

/// wall_time = 1, step = 2
std::string event_head(double wall_s, std::int64_t step) {
  std::string event;
  append_key(event, 1, kFixed64);
  append_bytes(event, std::bit_cast<std::uint64_t>(wall_s));
  if (step != 0) {
    append_key(event, 2, kVarint);
    append_varint(event, static_cast<std::uint64_t>(step));
  }
  return event;
}

}  // namespace

std::uint32_t crc32c(std::string_view data) {
  static constexpr auto kTable = crc_table();
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : data) {
    crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xffU] ^ (crc >> 8U);
  }
  return crc ^ 0xffffffffU;
}

std::string tf_record(std::string_view content) {
  std::string record;
  append_bytes(record, static_cast<std::uint64_t>(content.size()));
  append_bytes(record, masked_crc(record));
  record += content;
  append_bytes(record, masked_crc(content));
  return record;
}

std::string event_file_start(double wall_s) {
  std::string event = event_head(wall_s, 0);
  append_text(event, 3, "brain.Event:2");  // file_version
  return tf_record(event);
}

std::string scalar_event(double wall_s, std::int64_t step, const Scalars& scalars) {
  std::string summary;
  for (const auto& [tag, number] : scalars) {
    std::string value;
    append_text(value, 1, tag);
    append_key(value, 2, kFixed32);  // simple_value
    append_bytes(value, std::bit_cast<std::uint32_t>(static_cast<float>(number)));
    append_text(summary, 1, value);
  }
  std::string event = event_head(wall_s, step);
  append_text(event, 5, summary);
  return tf_record(event);
}

}  // namespace regatta
