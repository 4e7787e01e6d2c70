// Random numbers of a part of a batch are those that its samples have in the whole.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "nn/layers/sampling.hpp"
#include "nn/layers/transformer.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/batch_part.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

TEST_CASE("sampled fields of two parts of a batch are those of the whole") {
  const TrainingDraw draw{7, 11, {}};
  const at::Tensor whole = normal_like(at::zeros({3, 3, 4, 5, 6}), draw, 1);
  const auto part = [&](std::int64_t first, std::int64_t samples) {
    const PartOfBatch scope({first, 3});
    return normal_like(at::zeros({samples, 3, 4, 5, 6}), draw, 1);
  };
  CHECK(at::cat({part(0, 1), part(1, 2)}).equal(whole));
  CHECK_FALSE(part(0, 1).equal(part(1, 1)));
  CHECK(normal_like(at::zeros({3, 3, 4, 5, 6}), draw, 1).equal(whole));  // nothing is left of the parts
}

TEST_CASE("the samples of a part drop the branches that they drop in the whole batch") {
  const TrainingDraw draw{7, 11, {}};
  const std::vector<double> whole = drop_path_factors(draw, 0.5, 3, 8).on_host;
  std::vector<double> parts;
  for (const std::int64_t first : {0, 4}) {
    const PartOfBatch scope({first, 8});
    const std::vector<double> part = drop_path_factors(draw, 0.5, 3, 4).on_host;
    parts.insert(parts.end(), part.begin(), part.end());
  }
  CHECK(parts == whole);
  CHECK(std::vector<double>(parts.begin(), parts.begin() + 4) != std::vector<double>(parts.begin() + 4, parts.end()));
}

TEST_CASE("a part that does not fit into its batch is a mistake") {
  const PartOfBatch scope({2, 3});
  CHECK(part_of_batch(1).first == 2);
  CHECK_THROWS_AS(part_of_batch(2), BugError);
}

}  // namespace
}  // namespace regatta
