#include <cmath>
#include <limits>
#include <vector>

#include "regatta/kernels/adam.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

struct State {
  std::vector<float> value, gradient, m, v, vmax;
  std::vector<Bf16> shadow;

  explicit State(std::vector<float> values, std::vector<float> gradients)
      : value(std::move(values)),
        gradient(std::move(gradients)),
        m(value.size()),
        v(value.size()),
        vmax(value.size()),
        shadow(value.size()) {}

  AdamArrays arrays(bool amsgrad) {
    return {value.data(),
            gradient.data(),
            m.data(),
            v.data(),
            amsgrad ? vmax.data() : nullptr,
            shadow.data(),
            static_cast<std::int64_t>(value.size())};
  }
};

}  // namespace

TEST_CASE("the first update moves by the rate, against the gradient's sign") {
  State s({1.0F, -2.0F, 3.0F}, {0.5F, -4.0F, 0.0F});
  adam_reference(s.arrays(false), {}, {0.1, 1.0}, 0.0F);
  CHECK(s.value[0] == Approx(0.9));
  CHECK(s.value[1] == Approx(-1.9));
  CHECK(s.value[2] == 3.0F);
  CHECK(s.m[0] == Approx(0.05));
  CHECK(s.v[1] == Approx(0.016));
  CHECK(to_float(s.shadow[1]) == Approx(-1.9).epsilon(0.004));
}

TEST_CASE("AMSGrad divides by the largest second moment so far") {
  State s({0.0F}, {1.0F});
  s.vmax[0] = 4.0F;
  adam_reference(s.arrays(true), {}, {0.1, 1.0}, 0.0F);
  CHECK(s.vmax[0] == 4.0F);
  CHECK(s.value[0] == Approx(-0.1 / std::sqrt(4.0 / 0.001)));
}

TEST_CASE("weight decay is a gradient, or shrinks the values") {
  State coupled({2.0F}, {0.0F});
  adam_reference(coupled.arrays(false), {.weight_decay = 0.5}, {0.1, 1.0}, 0.0F);
  CHECK(coupled.value[0] == Approx(1.9));
  CHECK(coupled.m[0] == Approx(0.1));
  State decoupled({2.0F}, {0.0F});
  adam_reference(decoupled.arrays(false), {.weight_decay = 0.5, .decoupled = true}, {0.1, 1.0}, 0.0F);
  CHECK(decoupled.value[0] == Approx(1.9));
  CHECK(decoupled.m[0] == 0.0F);
}

TEST_CASE("a skipped update changes nothing, whatever the gradient") {
  State s({1.5F}, {std::numeric_limits<float>::quiet_NaN()});
  adam_reference(s.arrays(true), {}, {0.1, 7.0}, 1.0F);
  CHECK(s.value[0] == 1.5F);
  CHECK(s.m[0] == 0.0F);
  CHECK(to_float(s.shadow[0]) == 1.5F);
}

}  // namespace regatta::kernels
