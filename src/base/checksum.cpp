#include "regatta/base/checksum.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fmt/format.h>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::string_view kSealHead = ",\"xxh3\":\"";
constexpr std::string_view kSealTail = "\"}";
constexpr std::size_t kSealBytes = kSealHead.size() + 16 + kSealTail.size();

}  // namespace

std::uint64_t xxh3(const void* data, std::size_t bytes) {
  return XXH3_64bits(data, bytes);
}

struct Xxh3::State {
  XXH3_state_t xxh3;
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->xxh3);
}

Xxh3::~Xxh3() = default;

void Xxh3::add(const void* data, std::size_t bytes) {
  XXH3_64bits_update(&state_->xxh3, data, bytes);
}

std::uint64_t Xxh3::value() const {
  return XXH3_64bits_digest(&state_->xxh3);
}

std::string hex_text(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

std::string xxh3_text(std::string_view data) {
  return hex_text(xxh3(data.data(), data.size()));
}

std::string seal_line(std::string_view object) {
  REGATTA_REQUIRE(object.size() > 2 && object.front() == '{' && object.back() == '}', BugError,
                  "only a JSON object with members can be sealed: ", object.substr(0, 40));
  const std::string_view body = object.substr(0, object.size() - 1);
  std::string line(body);
  line += kSealHead;
  line += xxh3_text(body);
  line += kSealTail;
  return line;
}

bool is_sealed(std::string_view line) {
  if (line.size() <= kSealBytes || !line.ends_with(kSealTail)) {
    return false;
  }
  const std::string_view body = line.substr(0, line.size() - kSealBytes);
  const std::string_view seal = line.substr(body.size());
  return seal.starts_with(kSealHead) && seal.substr(kSealHead.size(), 16) == xxh3_text(body);
}

}  // namespace regatta
