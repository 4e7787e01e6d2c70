#include "regatta/kernels/window_attention.hpp"

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/window_attention_case.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

WindowAttention grid(const VolumeSize& size, int heads, int head_size, bool rolled) {
  WindowAttention shape;
  shape.size = size;
  shape.heads = heads;
  shape.head_size = head_size;
  if (rolled) {
    shape.shift = {2, 3, 3};
  }
  return shape;
}

void check_errors(const WindowAttentionCase::Errors& errors) {
  INFO("out " << errors.out << ", query " << errors.to_query << ", key " << errors.to_key << ", value "
              << errors.to_value << ", table " << errors.to_table);
  CHECK(errors.out < 4e-3);
  CHECK(errors.to_query < 1e-2);
  CHECK(errors.to_key < 1e-2);
  CHECK(errors.to_value < 6e-3);
  CHECK(errors.to_table < 1e-2);
}

/// One block for a head of a window, or two where a chip has room for many.
Capability chip_of(bool small) {
  Capability chip = capability(0);
  chip.multiprocessors = small ? 1 : chip.multiprocessors;
  return chip;
}

void check_grid(const VolumeSize& size, int heads, bool rolled, bool with_table, float scale, bool small_chip) {
  std::uint64_t seed = 3;
  for (const int head_size : {12, 24, 32, 48, 64, 96}) {
    const WindowAttention shape = grid(size, heads, head_size, rolled);
    WindowAttentionCase attention(shape, with_table, chip_of(small_chip), scale, seed += 10);
    INFO("heads of " << head_size << ", grid " << size.n << " " << size.d << " " << size.h << " " << size.w
                     << ", rolled " << rolled << ", table " << with_table << ", small chip " << small_chip);
    check_errors(attention.check(true));
    CHECK(attention.repeats([&] {
      attention.queue_forward(true, nullptr);
      attention.queue_backward(nullptr);
    }));
    CHECK(attention.inference_agrees());
    CHECK(attention.margins_hold());
  }
}

}  // namespace

TEST_CASE("window attention agrees with the reference everywhere") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_grid({1, 5, 6, 7}, 1, false, true, 1.0F, false);
  check_grid({1, 5, 6, 7}, 2, true, true, 1.0F, false);    // rolled, of one window
  check_grid({2, 7, 9, 11}, 3, false, true, 1.0F, false);  // padded
  check_grid({2, 7, 9, 11}, 3, true, true, 3.0F, true);    // padded and rolled, sharp weights
}

TEST_CASE("window attention agrees without a table and on tiny grids") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_grid({2, 6, 13, 8}, 2, true, false, 2.0F, true);
  check_grid({1, 1, 1, 1}, 1, true, true, 1.0F, false);
  check_grid({1, 3, 2, 1}, 4, false, true, 1.0F, true);
}

TEST_CASE("window attention agrees on whole stages") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  WindowAttentionCase first(grid({1, 40, 48, 56}, 4, 24, true), true, capability(0), 2.0F, 5);
  check_errors(first.check(false));
  WindowAttentionCase third(grid({1, 10, 12, 14}, 8, 48, true), true, capability(0), 2.0F, 6);
  check_errors(third.check(true));
}

TEST_CASE("the table's gradient of many windows is summed without loss") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  // 225 windows of three heads: each block has a whole window
  WindowAttentionCase many(grid({1, 25, 54, 35}, 3, 12, true), true, as_sm80(capability(0)), 2.0F, 7);
  check_errors(many.check(true));
}

TEST_CASE("captured window attention gives the same bytes as uncaptured one") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  WindowAttentionCase attention(grid({2, 10, 7, 9}, 4, 24, true), true, capability(0), 1.0F, 9);
  attention.check(false);
  const CapturedWork in_graph([&](Stream stream) {
    attention.queue_forward(true, stream);
    attention.queue_backward(stream);
  });
  CHECK(attention.repeats([&] { in_graph.run(); }));
}

}  // namespace regatta::kernels
