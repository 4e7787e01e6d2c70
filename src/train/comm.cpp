// A group of one, and names of rendezvous.
#include "train/comm.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <sys/random.h>

namespace regatta {
namespace {

class SelfComm final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string broadcast(std::string text) override { return text; }
  std::vector<std::string> gather(std::string text) override { return {std::move(text)}; }
  void all_reduce_(const std::vector<at::Tensor>&) override {}
};

}  // namespace

std::unique_ptr<Comm> make_self_comm() {
  return std::make_unique<SelfComm>();
}

std::string new_rendezvous() {
  unsigned char bytes[16];
  REGATTA_REQUIRE(::getrandom(bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes), CommError,
                  "no random numbers from the kernel: ", std::strerror(errno));
  std::string name = "regatta-";
  for (const unsigned char byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    name += kDigits[byte >> 4U];
    name += kDigits[byte & 15U];
  }
  return name;
}

}  // namespace regatta
