// The Meta device's allocator, replaced by one that hands out nothing and keeps accounts.
#include "regatta/nn/meta_memory.hpp"

#include <algorithm>
#include <utility>

#include <c10/core/Allocator.h>

#include "nn/device/meta_kernels.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kBlock = 512;
constexpr std::uint8_t kAboveDefault = 1;

thread_local std::shared_ptr<MetaMemory::Bytes> counting;

/// One storage's entry: taken off the account when the storage goes.
struct Entry {
  std::shared_ptr<MetaMemory::Bytes> account;
  std::int64_t bytes;
};

void release(void* context) {
  const std::unique_ptr<Entry> entry(static_cast<Entry*>(context));
  entry->account->live -= entry->bytes;
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (counting == nullptr) {
      return {nullptr, c10::Device(c10::kMeta)};
    }
    const std::int64_t blocks = (static_cast<std::int64_t>(bytes) + kBlock - 1) / kBlock * kBlock;
    auto entry = std::make_unique<Entry>(Entry{counting, blocks});
    counting->live += blocks;
    counting->peak = std::max(counting->peak, counting->live);
    return {nullptr, entry.release(), &release, c10::Device(c10::kMeta)};
  }

  void copy_data(void*, const void*, std::size_t) const override {}
};

void install() {
  static CountingAllocator allocator;
  static const bool once = (c10::SetAllocator(c10::kMeta, &allocator, kAboveDefault), true);
  (void)once;
}

}  // namespace

MetaMemory::MetaMemory() : bytes_(std::make_shared<Bytes>()) {
  REGATTA_REQUIRE(counting == nullptr, BugError, "memory is being counted already");
  use_meta_kernels();
  install();
  counting = bytes_;
}

MetaMemory::~MetaMemory() {
  counting.reset();
}

std::int64_t MetaMemory::live_bytes() const {
  return bytes_->live;
}

std::int64_t MetaMemory::peak_bytes() const {
  return bytes_->peak;
}

void MetaMemory::reset_peak() {
  bytes_->peak = bytes_->live;
}

}  // namespace regatta
