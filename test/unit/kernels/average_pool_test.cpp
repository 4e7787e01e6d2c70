#include "regatta/kernels/average_pool.hpp"

#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("means of 3x3x3 voxels, zeros around the volume count") {
  for (const VolumeSize& size : {VolumeSize{1, 4, 4, 4}, VolumeSize{2, 3, 5, 1}}) {
    const VolumeSize to = average_pool_size(size);
    std::vector<Bf16> pair;
    for (std::int64_t i = 0; i < size.all(); ++i) {
      pair.push_back(to_bf16(27.0F));
      pair.push_back(to_bf16(-54.0F));
    }
    const std::vector<double> out = average_pool_reference(size, pair.data());
    REQUIRE(out.size() == static_cast<std::size_t>(2 * to.all()));
    const auto read = [](std::int64_t o, std::int64_t length) {  // voxels inside, of three along an axis
      return 3 - (o == 0 ? 1 : 0) - (2 * o + 1 >= length ? 1 : 0);
    };
    for (std::int64_t o = 0; o < to.all(); ++o) {
      const auto count = static_cast<double>(read(o / to.plane() % to.d, size.d) * read(o / to.w % to.h, size.h) *
                                             read(o % to.w, size.w));
      CHECK(out[static_cast<std::size_t>(2 * o)] == count);
      CHECK(out[static_cast<std::size_t>(2 * o + 1)] == -2.0 * count);
    }
  }
}

TEST_CASE("a mean reads the voxels around its own, which is every other one") {
  const VolumeSize size = {1, 5, 5, 5};
  std::vector<Bf16> pair(2 * 125, to_bf16(0.0F));
  pair[2 * (2 * 25 + 1 * 5 + 4)] = to_bf16(27.0F);  // (2, 1, 4): read by (1, 0, 2) and (1, 1, 2)
  const std::vector<double> out = average_pool_reference(size, pair.data());
  for (std::size_t o = 0; o < 27; ++o) {
    CHECK(out[2 * o] == (o == 9 + 2 || o == 9 + 3 + 2 ? 1.0 : 0.0));
    CHECK(out[2 * o + 1] == 0.0);
  }
}

}  // namespace regatta::kernels
