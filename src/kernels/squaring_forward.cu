#include <cmath>

#include "kernels/compose_forward.cuh"
#include "kernels/squaring_launch.cuh"

namespace regatta::kernels {
namespace {

template <class Stored>
void run(const SquaringForward& work, Stream stream) {
  const ScaledField velocity = scaled_velocity(work);
  const auto step = [&](auto in, auto out) {
    queue_compose(in, in, out, work.size, work.outside, /*add_inner=*/true, stream);
  };
  if (work.steps == 1) {
    step(velocity, PlanarTo{work.field});
    return;
  }
  step(velocity, stored_field<Stored>(work, 1));
  for (int i = 2; i < work.steps; ++i) {
    step(stored_field<Stored>(work, i - 1), stored_field<Stored>(work, i));
  }
  step(stored_field<Stored>(work, work.steps - 1), PlanarTo{work.field});
}

}  // namespace

void squaring_forward(const SquaringForward& work, Stream stream) {
  check_squaring(work);
  REGATTA_REQUIRE(work.field != nullptr && work.field != work.velocity, BugError,
                  "squaring: the result is missing, or is the velocity");
  work.store == FieldStore::kHalf ? run<HalfField>(work, stream) : run<SingleField>(work, stream);
}

}  // namespace regatta::kernels
