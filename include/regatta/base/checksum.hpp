// XXH3-64 over bytes, as 16 hexadecimal digits, and JSON lines that carry their own checksum as last member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace regatta {

std::uint64_t xxh3(const void* data, std::size_t bytes);

/// The same of bytes that come one piece after another.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;

  void add(const void* data, std::size_t bytes);
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string xxh3_text(std::string_view data);
std::string hex_text(std::uint64_t value);

/// Adds `,"xxh3":"<16 digits>"` as the last member of a JSON object's text; the checksum is of the text before it.
/// @param object  one JSON object on one line, with at least one member
std::string seal_line(std::string_view object);

/// True if the line is whole and its checksum is right. A torn or foreign line gives false.
bool is_sealed(std::string_view line);

}  // namespace regatta
