#include "volume/archive/string_records.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

#include <unistd.h>

#include "regatta/base/text.hpp"

namespace regatta::h5 {
namespace {

constexpr std::uint64_t kMostHeaderBytes = std::uint64_t{1} << 20;
constexpr std::size_t kMostHeaderParts = 64;
constexpr std::size_t kHeapHead = 16;  ///< of a heap, and of each object in it
constexpr std::string_view kHeapSignature("GCOL\1", 5);
constexpr std::uint16_t kContinuation = 0x10;
constexpr std::uint16_t kAttribute = 0x0C;

/// Empty where the file does not hold all of them.
std::string bytes_at(int descriptor, std::uint64_t offset, std::uint64_t count) {
  std::string bytes(count, '\0');
  const bool whole = offset <= static_cast<std::uint64_t>(INT64_MAX) - count &&
                     pread(descriptor, bytes.data(), count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count);
  return whole ? bytes : std::string();
}

/// Little-endian, as HDF5 writes on every machine; the caller has checked the length.
template <class Number>
Number number_at(std::string_view bytes, std::size_t at) {
  Number value = 0;
  std::memcpy(&value, bytes.substr(at, sizeof value).data(), sizeof value);
  return value;
}

StringRecord record_from(std::string_view bytes) {
  return {number_at<std::uint32_t>(bytes, 0), number_at<std::uint64_t>(bytes, 4), number_at<std::uint32_t>(bytes, 12)};
}

constexpr std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + 7) / 8 * 8;
}

/// The value of an attribute message: name, type, space and value one after the other.
std::optional<StringRecord> record_of_attribute(std::string_view message, const std::string& name) {
  if (message.size() < 9) {
    return std::nullopt;
  }
  const auto version = number_at<std::uint8_t>(message, 0);
  const bool old = version == 1;  // parts are padded; later versions are not, and the third tells the name's encoding
  const auto part = [&](std::size_t at) {
    const auto bytes = number_at<std::uint16_t>(message, at);
    return old ? padded(bytes) : bytes;
  };
  const std::uint64_t head = version == 3 ? 9 : 8;
  const std::uint64_t value = head + part(2) + part(4) + part(6);
  if (version < 1 || version > 3 || message.size() < value + kStringRecordBytes ||
      message.substr(head, name.size() + 1) != std::string_view(name.c_str(), name.size() + 1)) {
    return std::nullopt;
  }
  return record_from(message.substr(value));
}

/// Sizes of a heap's objects by index. Empty if it is no heap, or its objects do not fit into it.
std::map<std::uint32_t, std::uint64_t> heap_objects(int descriptor, std::uint64_t offset, std::uint64_t most) {
  const std::string head = bytes_at(descriptor, offset, kHeapHead);
  if (!std::string_view(head).starts_with(kHeapSignature)) {
    return {};
  }
  const auto size = number_at<std::uint64_t>(head, 8);
  const std::string heap = size >= kHeapHead && size <= most ? bytes_at(descriptor, offset, size) : std::string();
  std::map<std::uint32_t, std::uint64_t> objects;
  for (std::uint64_t at = kHeapHead; at + kHeapHead <= heap.size();) {
    const auto index = number_at<std::uint16_t>(heap, at);
    const auto bytes = number_at<std::uint64_t>(heap, at + 8);
    if (index == 0) {  // what is free, to the end
      return bytes <= heap.size() - at ? objects : std::map<std::uint32_t, std::uint64_t>{};
    }
    if (bytes > heap.size() - at - kHeapHead || !objects.emplace(index, bytes).second) {
      return {};
    }
    at += kHeapHead + padded(bytes);
  }
  return objects;
}

}  // namespace

std::vector<StringRecord> read_string_records(int descriptor, std::uint64_t offset, std::size_t count) {
  const std::string bytes = bytes_at(descriptor, offset, count * kStringRecordBytes);
  std::vector<StringRecord> records;
  for (std::size_t at = 0; at < bytes.size(); at += kStringRecordBytes) {
    records.push_back(record_from(std::string_view(bytes).substr(at)));
  }
  return records;
}

std::optional<StringRecord> read_attribute_record(int descriptor, std::uint64_t header, const std::string& name) {
  const std::string prefix = bytes_at(descriptor, header, 16);
  if (prefix.empty() || prefix[0] != 1) {
    return std::nullopt;
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> parts = {{header + 16, number_at<std::uint32_t>(prefix, 8)}};
  for (std::size_t i = 0; i < parts.size() && i < kMostHeaderParts; ++i) {
    const auto [offset, size] = parts[i];
    const std::string bytes = size <= kMostHeaderBytes ? bytes_at(descriptor, offset, size) : std::string();
    for (std::size_t at = 0; at + 8 <= bytes.size();) {
      const auto type = number_at<std::uint16_t>(bytes, at);
      const std::string_view message = std::string_view(bytes).substr(at + 8, number_at<std::uint16_t>(bytes, at + 2));
      if (type == kContinuation && message.size() >= 16) {
        parts.emplace_back(number_at<std::uint64_t>(message, 0), number_at<std::uint64_t>(message, 8));
      } else if (type == kAttribute) {
        if (const auto record = record_of_attribute(message, name)) {
          return record;
        }
      }
      at += 8 + number_at<std::uint16_t>(bytes, at + 2);
    }
  }
  return std::nullopt;
}

std::string fault_of(const std::vector<StringRecord>& records, int descriptor, std::uint64_t most) {
  std::map<std::uint64_t, std::map<std::uint32_t, std::uint64_t>> heaps;
  std::uint64_t bytes = 0;
  for (const StringRecord& record : records) {
    bytes += record.length;
    if (bytes > most) {
      return str("strings of ", bytes, " bytes in a file of ", most);
    }
    if (record.heap == 0) {
      continue;
    }
    const auto [heap, is_new] = heaps.try_emplace(record.heap);
    if (is_new) {
      heap->second = heap_objects(descriptor, record.heap, most);
    }
    const auto object = heap->second.find(record.index);
    if (object == heap->second.end() || object->second < record.length) {
      return str("a string whose place in the file is damaged");
    }
  }
  return "";
}

}  // namespace regatta::h5
