#include "kernels/compose_backward.cuh"
#include "kernels/splat.cuh"
#include "kernels/squaring_launch.cuh"

namespace regatta::kernels {
namespace {

/// Adds up one step's derivative in `sums`. @param spare  overwritten if there were carries
struct Step {
  const SquaringBackward& work;
  Stream stream;

  template <class Field, class Gradient>
  void run(Field field, Gradient gradient, const FixedSums& sums, int* spare) const {
    const VolumeSize& size = work.forward.size;
    SplatBox* boxes = boxes_in(work.scratch, size);
    queue_local(field, field, gradient, FixedSink{sums}, boxes, sums.state, size, work.forward.outside,
                /*add_inner=*/true, stream);
    queue_splat(field, gradient, boxes, sums, size, work.forward.outside, stream);
    settle(sums, 3 * size.all(), spare, work.overflows, stream);
  }
};

template <class Stored>
void run(const SquaringBackward& work, Stream stream) {
  const SquaringForward& forward = work.forward;
  const FixedSums first = sums_in(work.scratch, forward.size, nullptr);
  int* other = work.to_velocity.planar != nullptr
                   ? reinterpret_cast<int*>(work.to_velocity.planar)
                   : reinterpret_cast<int*>(reinterpret_cast<unsigned char*>(first.values) + fixed_bytes(forward.size));
  const FixedSums both[2] = {first, sums_in(work.scratch, forward.size, other)};
  find_largest(work.to_field, 3 * forward.size.all(), first.state, stream);
  const Step step{work, stream};
  for (int done = 0; done < forward.steps; ++done) {
    const FixedSums& to = both[done % 2];
    const FixedSums& from = both[(done + 1) % 2];
    const auto with = [&](auto field) {
      if (done == 0) {
        step.run(field, PlanarField{work.to_field}, to, from.values);
      } else {
        step.run(field, FixedGradient{from.values, from.state}, to, from.values);
      }
    };
    const int entering = forward.steps - 1 - done;  // squarings behind the field that this step composed
    if (entering == 0) {
      with(scaled_velocity(forward));
    } else {
      with(stored_field<Stored>(forward, entering));
    }
  }
  put_gradient(both[(forward.steps - 1) % 2], forward.size, velocity_factor(forward), work.to_velocity, stream);
}

}  // namespace

void squaring_backward(const SquaringBackward& work, Stream stream) {
  check_squaring(work.forward);
  check_gradient("squaring", work.to_velocity);
  REGATTA_REQUIRE(work.to_field != nullptr && work.scratch != nullptr && is_aligned(work.scratch, 16), BugError,
                  "squaring: the derivative or the scratch is missing, or the scratch is not aligned to 16 bytes");
  REGATTA_REQUIRE(work.forward.keep, BugError, "squaring: the fields were not kept");
  work.forward.store == FieldStore::kHalf ? run<HalfField>(work, stream) : run<SingleField>(work, stream);
}

}  // namespace regatta::kernels
