// Positions are fractions of integers: output o reads the input at (o step + offset) / parts, held between the outer
// centres. So a gather knows exactly which outputs read an input, and no rounding grows with the size.
#include "kernels/field_view.cuh"
#include "regatta/kernels/resize.hpp"

namespace regatta::kernels {
namespace {

constexpr int kMostLength = 16384;
constexpr int kResizePlanes = 8;  ///< a thread's, of what is written
constexpr int kFewPlanes = 2;  ///< of the adjoint where the input is the smaller one, and so the work of a voxel larger

struct Axis {
  int in, out;
  int step, offset, parts;
  int last;  ///< (in - 1) parts
  float part;

  __device__ __forceinline__ int point(int o) const { return min(max(o * step + offset, 0), last); }
};

Axis axis_of(std::int64_t in, std::int64_t out, bool align_corners) {
  Axis a;
  a.in = static_cast<int>(in);
  a.out = static_cast<int>(out);
  a.step = align_corners ? a.in - 1 : 2 * a.in;
  a.offset = align_corners ? 0 : a.in - a.out;
  a.parts = align_corners ? (a.out > 1 ? a.out - 1 : 1) : 2 * a.out;
  a.last = (a.in - 1) * a.parts;
  a.part = 1.0F / static_cast<float>(a.parts);
  return a;
}

struct Axes {
  Axis d, h, w;
};

struct Factors {
  float d, h, w;
};

/// The lower input and the share of the next one.
struct Position {
  int lower;
  int beyond;  ///< step to the next one, 0 at the last
  float fraction;

  __device__ __forceinline__ Position(const Axis& a, int o) {
    const int point = a.point(o);
    lower = point / a.parts;
    beyond = lower + 1 < a.in ? 1 : 0;
    fraction = static_cast<float>(point - lower * a.parts) * a.part;
  }
};

/// The outputs that read input i, and the weight with which each does.
struct Readers {
  int first, last;
  int centre;

  __device__ __forceinline__ Readers(const Axis& a, int i) : first(0), last(a.out - 1), centre(i * a.parts) {
    if (i > 0) {  // the first output beyond input i - 1
      const int from = (i - 1) * a.parts - a.offset;
      first = from < 0 ? 0 : from / a.step + 1;
    }
    if (i + 1 < a.in) {  // the last one before input i + 1
      const int before = (i + 1) * a.parts - a.offset - 1;
      last = before < 0 ? -1 : min(before / a.step, a.out - 1);
    }
  }

  __device__ __forceinline__ float weight(const Axis& a, int o) const {
    return 1.0F - static_cast<float>(abs(a.point(o) - centre)) * a.part;
  }
};

/// One plane at a point of H and W.
__device__ __forceinline__ Vector3 in_plane(const FieldView& field, int first, const Position& h, const Position& w,
                                            int row) {
  const Vector3 a = field.at(first);
  const Vector3 b = field.at(first + w.beyond);
  const Vector3 c = field.at(first + h.beyond * row);
  const Vector3 d = field.at(first + h.beyond * row + w.beyond);
  const Vector3 upper = a + w.fraction * (b - a);
  const Vector3 lower = c + w.fraction * (d - c);
  return upper + h.fraction * (lower - upper);
}

__global__ void __launch_bounds__(kFieldThreads)
    resize_forward_kernel(const float* __restrict__ input, PlanarOut output, Axes axes, Factors factors,
                          FieldShape shape) {
  const FieldThread t(shape, kResizePlanes);
  if (!t.inside) {
    return;
  }
  const int plane = axes.h.in * axes.w.in;
  const FieldView from(input, t.volume, axes.d.in * plane);
  const auto to = output.of(t.volume, shape.voxels);
  const Position h(axes.h, t.y);
  const Position w(axes.w, t.x);
  const int column = h.lower * axes.w.in + w.lower;
  int at = -2;  // the planes held: at and at + 1
  Vector3 lower;
  Vector3 upper;
  const int planes = min(kResizePlanes, shape.d - t.z0);
#pragma unroll 1
  for (int k = 0; k < planes; ++k) {
    const Position d(axes.d, t.z0 + k);
    if (d.lower != at) {
      lower = d.lower == at + 1 ? upper : in_plane(from, d.lower * plane + column, h, w, axes.w.in);
      upper = d.beyond != 0 ? in_plane(from, (d.lower + 1) * plane + column, h, w, axes.w.in) : lower;
      at = d.lower;
    }
    const Vector3 value = lower + d.fraction * (upper - lower);
    to.put(t.i + k * shape.plane, {factors.d * value.d, factors.h * value.h, factors.w * value.w});
  }
}

/// The outputs of a row that read a column's input; the first ones' weights are kept.
template <int kAtOnce>
struct RowReaders {
  const Axis& axis;
  Readers readers;
  float weights[kAtOnce];

  __device__ __forceinline__ RowReaders(const Axis& a, int i) : axis(a), readers(a, i) {
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int o = readers.first + k;
      weights[k] = o <= readers.last ? readers.weight(a, o) : 0.0F;
    }
  }

  __device__ __forceinline__ Vector3 sum(const PlanarRead& row) const {
    Vector3 sum = {0.0F, 0.0F, 0.0F};
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      sum = sum + weights[k] * row.at(min(readers.first + k, axis.out - 1));
    }
    for (int o = readers.first + kAtOnce; o <= readers.last; ++o) {
      sum = sum + readers.weight(axis, o) * row.at(o);
    }
    return sum;
  }
};

/// Writes inputs: shape is the input's. An output plane is added up once for the two inputs that it reads.
/// @tparam kAtOnce  outputs of a row that mostly read an input: 4 at twice the size, 2 at half of it
template <int kAtOnce>
__global__ void __launch_bounds__(kFieldThreads, 3)
    resize_backward_kernel(PlanarField to_output, PlanarOut to_input, Axes axes, Factors factors, FieldShape shape,
                           int planes) {
  const FieldThread t(shape, planes);
  if (!t.inside) {
    return;
  }
  const int plane = axes.h.out * axes.w.out;
  const PlanarRead from = to_output.of(t.volume, axes.d.out * plane);
  const auto to = to_input.of(t.volume, shape.voxels);
  const Readers h(axes.h, t.y);
  const RowReaders<kAtOnce> w(axes.w, t.x);
  const int end = min(t.z0 + planes, shape.d);
  const Vector3 zero = {0.0F, 0.0F, 0.0F};
  Vector3 sum = zero;   // of input `at`
  Vector3 next = zero;  // and of the one behind
  int at = t.z0;
  const auto put = [&] {
    to.put(t.i + (at - t.z0) * shape.plane, {factors.d * sum.d, factors.h * sum.h, factors.w * sum.w});
    sum = next;
    next = zero;
    ++at;
  };
  const int last = Readers(axes.d, end - 1).last;
#pragma unroll 1
  for (int o = Readers(axes.d, t.z0).first; o <= last; ++o) {
    Vector3 in_plane_sum = zero;
#pragma unroll 1
    for (int y = h.first; y <= h.last; ++y) {
      in_plane_sum = in_plane_sum + h.weight(axes.h, y) * w.sum(from.from(o * plane + y * axes.w.out));
    }
    const Position d(axes.d, o);
    while (at < d.lower && at < end) {
      put();
    }
    if (d.lower >= t.z0) {
      sum = sum + (1.0F - d.fraction) * in_plane_sum;
      next = next + d.fraction * in_plane_sum;
    } else {  // the plane before this thread's first
      sum = sum + d.fraction * in_plane_sum;
    }
  }
  while (at < end) {
    put();
  }
}

Axes axes_of(const Resize& r) {
  return {axis_of(r.from.d, r.to.d, r.align_corners), axis_of(r.from.h, r.to.h, r.align_corners),
          axis_of(r.from.w, r.to.w, r.align_corners)};
}

void check_resize(const Resize& r, const void* input, const void* output) {
  for (const VolumeSize& size : {r.from, r.to}) {
    check_field_size("resize", size, 1);
    REGATTA_REQUIRE(size.n * ((size.d + 1) / 2) <= 65535, BugError, "resize: too many volumes or planes, ", size.n,
                    " x ", size.d);
  }
  for (const std::int64_t length : {r.from.d, r.from.h, r.from.w, r.to.d, r.to.h, r.to.w}) {
    REGATTA_REQUIRE(length <= kMostLength, BugError, "resize: a length of ", length, ", at most ", kMostLength);
  }
  REGATTA_REQUIRE(r.from.n == r.to.n, BugError, "resize: ", r.from.n, " volumes to ", r.to.n);
  REGATTA_REQUIRE(input != nullptr && output != nullptr && input != output, BugError,
                  "resize: a field is missing, or the result is the input");
}

}  // namespace

void resize_forward(const Resize& resize, const float* input, float* output, Stream stream) {
  check_resize(resize, input, output);
  const auto& [d, h, w] = resize.factors;
  resize_forward_kernel<<<field_blocks(resize.to, kResizePlanes), kFieldThreads, 0, stream>>>(
      input, PlanarOut{output}, axes_of(resize), {d, h, w}, field_shape(resize.to, kResizePlanes));
  check_launch("resize_forward");
}

void resize_backward(const Resize& resize, const float* to_output, float* to_input, Stream stream) {
  check_resize(resize, to_output, to_input);
  const auto& [d, h, w] = resize.factors;
  const bool finer = resize.to.w > resize.from.w;
  const int planes = finer ? kFewPlanes : kResizePlanes;
  const dim3 blocks = field_blocks(resize.from, planes);
  const FieldShape shape = field_shape(resize.from, planes);
  const PlanarField from{to_output};
  const Factors factors = {d, h, w};
  if (finer) {
    resize_backward_kernel<4>
        <<<blocks, kFieldThreads, 0, stream>>>(from, PlanarOut{to_input}, axes_of(resize), factors, shape, planes);
  } else {
    resize_backward_kernel<2>
        <<<blocks, kFieldThreads, 0, stream>>>(from, PlanarOut{to_input}, axes_of(resize), factors, shape, planes);
  }
  check_launch("resize_backward");
}

}  // namespace regatta::kernels
