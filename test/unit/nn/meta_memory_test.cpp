// Accounts of tensors without data.
#include "regatta/nn/meta_memory.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/empty.h>

#include "support/catch.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;

at::Tensor mebibytes(std::int64_t count) {
  return at::empty({count, kMebibyte / 4}, at::device(at::kMeta).dtype(at::kFloat));
}

TEST_CASE("what lives at once is counted in blocks of 512 bytes, and the peak stays") {
  const MetaMemory memory;
  const at::Tensor small = at::empty({3}, at::device(at::kMeta).dtype(at::kFloat));
  CHECK(memory.live_bytes() == 512);
  {
    const at::Tensor a = mebibytes(2);
    const at::Tensor view = a.narrow(0, 0, 1);
    CHECK(memory.live_bytes() == 512 + 2 * kMebibyte);
    const at::Tensor sum = a + a;
    CHECK(memory.live_bytes() == 512 + 4 * kMebibyte);
  }
  CHECK(memory.live_bytes() == 512);
  CHECK(memory.peak_bytes() == 512 + 4 * kMebibyte);
}

TEST_CASE("the peak is reset where it is asked to") {
  MetaMemory memory;
  mebibytes(3);
  const at::Tensor kept = mebibytes(1);
  CHECK(memory.peak_bytes() == 3 * kMebibyte);
  memory.reset_peak();
  CHECK(memory.peak_bytes() == kMebibyte);
}

TEST_CASE("operators that LibTorch lets resize their result are counted too") {
  const MetaMemory memory;
  const at::Tensor input = mebibytes(1);
  const at::Tensor result = at::abs(input);
  CHECK(memory.live_bytes() == 2 * kMebibyte);
}

TEST_CASE("a tensor may outlive the count, and tensors made before it do not count") {
  const at::Tensor before = mebibytes(1);
  at::Tensor after;
  {
    const MetaMemory memory;
    CHECK(memory.live_bytes() == 0);
    after = mebibytes(1);
  }
  after.reset();
  const MetaMemory again;
  CHECK(again.live_bytes() == 0);
  CHECK_THROWS_WITH(MetaMemory(), Catch::Contains("counted already"));
}

}  // namespace
}  // namespace regatta
