#include "kernels/compose_backward.cuh"
#include "kernels/compose_forward.cuh"
#include "kernels/compose_launch.cuh"
#include "kernels/splat.cuh"

namespace regatta::kernels {

void compose_forward(const ComposeForward& work, Stream stream) {
  check_fields("compose", work.size);
  REGATTA_REQUIRE(work.outer != nullptr && work.inner != nullptr && work.field != nullptr && work.field != work.outer &&
                      work.field != work.inner,
                  BugError, "compose: a field is missing, or the result is an input");
  queue_compose(PlanarField{work.outer}, PlanarField{work.inner}, PlanarTo{work.field}, work.size, work.outside,
                work.add_inner, stream);
}

void compose_backward(const ComposeBackward& work, Stream stream) {
  check_fields("compose", work.size);
  REGATTA_REQUIRE(work.outer != nullptr && work.inner != nullptr && work.to_field != nullptr, BugError,
                  "compose: a field or the derivative is missing");
  const PlanarField inner{work.inner};
  const PlanarField gradient{work.to_field};
  const FloatSink to_inner{PlanarOut{work.to_inner}};
  if (work.to_outer == nullptr) {
    queue_local(PlanarField{work.outer}, inner, gradient, to_inner, nullptr, nullptr, work.size, work.outside,
                work.add_inner, stream);
    return;
  }
  REGATTA_REQUIRE(work.scratch != nullptr && is_aligned(work.scratch, 16), BugError,
                  "compose: the scratch is missing or not aligned to 16 bytes");
  const FixedSums sums = sums_in(work.scratch, work.size, nullptr);
  SplatBox* boxes = boxes_in(work.scratch, work.size);
  const long long elements = 3 * work.size.all();
  find_largest(work.to_field, elements, sums.state, stream);
  queue_local(PlanarField{work.outer}, inner, gradient, to_inner, boxes, sums.state, work.size, work.outside,
              work.add_inner, stream);
  REGATTA_CUDA(cudaMemsetAsync(sums.values, 0, static_cast<std::size_t>(elements) * sizeof(int), stream));
  queue_splat(inner, gradient, boxes, sums, work.size, work.outside, stream);
  settle(sums, elements, reinterpret_cast<int*>(work.to_outer), work.overflows, stream);
  put_gradient(sums, work.size, 1.0F, {work.to_outer, nullptr}, stream);
}

}  // namespace regatta::kernels
