// One pass sums up, one differentiates. Most voxels have eight neighbours of one label: membership 1, derivative 0.
#include "kernels/dice_sums.hpp"
#include "kernels/field_march.cuh"
#include "kernels/trilinear.cuh"
#include "regatta/kernels/soft_dice.hpp"

namespace regatta::kernels {
namespace {

constexpr int kPlanes = 8;          ///< a block's: its sums of 2048 memberships have 32 bits
constexpr unsigned kOne = 1 << 20;  ///< membership 1 in the sums
constexpr unsigned kAllLanes = 0xffffffffU;

enum Row { kOfFixed, kCommon, kOfMoving };

/// The labels of the eight voxels around a point, in the order of `read_corners`.
struct CornerLabels {
  unsigned of[8];

  __device__ __forceinline__ CornerLabels(const std::uint8_t* labels, const Place& p, const FieldShape& shape) {
    const unsigned first = static_cast<unsigned>(p.d) * shape.plane + static_cast<unsigned>(p.h) * shape.w + p.w;
    if (is_index(p.d, shape.d - 1) && is_index(p.h, shape.h - 1) && is_index(p.w, shape.w - 1)) {
      const std::uint8_t* from = labels + first;
      const std::uint8_t* below = from + shape.w;
      of[0] = __ldg(from);
      of[1] = __ldg(from + 1);
      of[2] = __ldg(below);
      of[3] = __ldg(below + 1);
      from += shape.plane;
      below += shape.plane;
      of[4] = __ldg(from);
      of[5] = __ldg(from + 1);
      of[6] = __ldg(below);
      of[7] = __ldg(below + 1);
    } else {
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const bool inside = is_index(beyond(p.d, k >> 2), shape.d) && is_index(beyond(p.h, k >> 1 & 1), shape.h) &&
                            is_index(beyond(p.w, k & 1), shape.w);
        const unsigned at = first + (k >> 2) * shape.plane + (k >> 1 & 1) * shape.w + (k & 1);
        of[k] = inside ? __ldg(labels + at) : static_cast<unsigned>(kNoLabel);
      }
    }
  }

  __device__ __forceinline__ bool are_one() const {
    unsigned difference = 0;
#pragma unroll
    for (int k = 1; k < 8; ++k) {
      difference |= of[k] ^ of[0];
    }
    return difference == 0;
  }

  /// Four of them as the bytes of a word.
  __device__ __forceinline__ unsigned word(int first) const {
    return __byte_perm(__byte_perm(of[first], of[first + 1], 0x0040), __byte_perm(of[first + 2], of[first + 3], 0x0040),
                       0x5410);
  }
};

/// The parts of the eight voxels.
__device__ __forceinline__ void corner_weights(const Vector3& f, float (&weights)[8]) {
  const float along_d[2] = {1.0F - f.d, f.d};
  const float along_h[2] = {1.0F - f.h, f.h};
  const float along_w[2] = {1.0F - f.w, f.w};
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    weights[k] = along_d[k >> 2] * along_h[k >> 1 & 1] * along_w[k & 1];
  }
}

/// Calls visit(label, membership, which of the voxels have it, by bits) for each label around a point.
template <class Visit>
__device__ __forceinline__ void for_each_label(const CornerLabels& labels, const float (&weights)[8],
                                               const Visit& visit) {
  const unsigned lower = labels.word(0);
  const unsigned upper = labels.word(4);
  unsigned rest = 0;
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    rest |= labels.of[k] != kNoLabel ? 1U << k : 0U;
  }
  while (rest != 0) {
    const unsigned label = __byte_perm(lower, upper, static_cast<unsigned>(__ffs(static_cast<int>(rest)) - 1)) & 0xffU;
    float membership = 0.0F;
    unsigned having = 0;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      if (labels.of[k] == label) {
        membership += weights[k];
        having |= 1U << k;
      }
    }
    visit(label, membership, having);
    rest &= ~having;
  }
}

/// To the nearest unit of the sums, by the bits of a float; memberships are at most a little more than 1.
__device__ __forceinline__ unsigned in_units(float membership) {
  return __float_as_uint(fminf(membership, 1.0F) * kOne + 8388608.0F) - 0x4B000000U;
}

/// A block's sums.
struct Bins {
  unsigned rows[kDiceRows][kDiceBins];
  unsigned not_finite;
};

/// Voxels whose neighbours have one label, of all lanes at once. @param label  kNoLabel: not such a voxel
__device__ __forceinline__ void add_whole(Bins& bins, unsigned of_fixed, unsigned label, unsigned lane_bit) {
  const unsigned equal = __match_any_sync(kAllLanes, of_fixed);
  const unsigned agreeing = equal & __ballot_sync(kAllLanes, label == of_fixed);
  if ((equal & (lane_bit - 1U)) == 0U) {
    atomicAdd(&bins.rows[kOfFixed][of_fixed], static_cast<unsigned>(__popc(equal)));
    if (agreeing != 0U) {
      const unsigned sum = static_cast<unsigned>(__popc(agreeing)) * kOne;
      atomicAdd(&bins.rows[kCommon][of_fixed], sum);
      atomicAdd(&bins.rows[kOfMoving][of_fixed], sum);
    }
  }
  const bool is_other = label != of_fixed && label != kNoLabel;
  if (__any_sync(kAllLanes, is_other)) {
    const unsigned others = __match_any_sync(kAllLanes, is_other ? label : static_cast<unsigned>(kNoLabel));
    if (is_other && (others & (lane_bit - 1U)) == 0U) {
      atomicAdd(&bins.rows[kOfMoving][label], static_cast<unsigned>(__popc(others)) * kOne);
    }
  }
}

/// @param sums  [n, kDiceSums], cleared
template <DiceSize kForm>
__global__ void __launch_bounds__(kFieldThreads)
    soft_dice_sums_kernel(const std::uint8_t* __restrict__ fixed, const std::uint8_t* __restrict__ moving,
                          const float* __restrict__ flow, unsigned long long* __restrict__ sums, FieldShape shape) {
  __shared__ Bins bins;
  auto* flat = &bins.rows[0][0];
  for (int i = static_cast<int>(threadIdx.x); i < kDiceSums; i += kFieldThreads) {
    flat[i] = 0;
  }
  __syncthreads();
  const FieldThread t(shape, kPlanes);
  const unsigned lane_bit = 1U << t.lane;
  const FieldView field(flow, t.volume, shape.voxels);
  fixed += static_cast<long long>(t.volume) * shape.voxels;
  moving += static_cast<long long>(t.volume) * shape.voxels;
  const int end = min(t.z0 + kPlanes, shape.d);
  int i = t.i;
  Vector3 u = field.at(i);
#pragma unroll 1
  for (int z = t.z0; z < end; ++z, i += shape.plane) {
    const unsigned of_fixed = t.inside ? __ldg(fixed + i) : static_cast<unsigned>(kNoLabel);
    const Vector3 next = z + 1 < end ? field.at(i + shape.plane) : u;
    const Place place = place_of<Outside::kZero>(z, t.y, t.x, u, shape);
    const CornerLabels labels(moving, place, shape);
    const bool is_finite = fabsf(u.d) + fabsf(u.h) + fabsf(u.w) < INFINITY;
    const bool is_whole = labels.are_one();
    add_whole(bins, of_fixed, t.inside && is_whole && is_finite ? labels.of[0] : kNoLabel, lane_bit);
    if (t.inside && !is_finite) {
      atomicOr(&bins.not_finite, 1U);
    } else if (t.inside && !is_whole) {
      float weights[8];
      corner_weights(place.fraction, weights);
      for_each_label(labels, weights, [&](unsigned label, float membership, unsigned) {
        const unsigned part = in_units(membership);
        atomicAdd(&bins.rows[kOfMoving][label], kForm == DiceSize::kSquares ? in_units(membership * membership) : part);
        if (label == of_fixed) {
          atomicAdd(&bins.rows[kCommon][label], part);
        }
      });
    }
    u = next;
  }
  __syncthreads();
  sums += static_cast<long long>(t.volume) * kDiceSums;
  for (int k = static_cast<int>(threadIdx.x); k < kDiceSums; k += kFieldThreads) {
    if (flat[k] > 0) {
      atomicAdd(sums + k, static_cast<unsigned long long>(flat[k]));
    }
  }
}

/// Derivatives of the loss with respect to the memberships of a voxel in a label: `of_fixed` where the fixed voxel has
/// the label, plus `of_size`, with squares times the membership.
struct Slope {
  float of_fixed, of_size;
};

/// One block, a thread per label.
template <DiceSize kForm>
__global__ void __launch_bounds__(kDiceBins)
    soft_dice_loss_kernel(const unsigned long long* __restrict__ sums, int volumes, int first, int labels, double terms,
                          float2* __restrict__ slopes, float* __restrict__ loss) {
  const int label = static_cast<int>(threadIdx.x);
  const bool counts = label >= first && label < labels;
  double total = 0.0;
  for (int n = 0; n < volumes; ++n, sums += kDiceSums, slopes += kDiceBins) {
    const double of_fixed = static_cast<double>(sums[kOfFixed * kDiceBins + label]);
    const double common = static_cast<double>(sums[kCommon * kDiceBins + label]) / kOne;
    const double of_moving = static_cast<double>(sums[kOfMoving * kDiceBins + label]) / kOne;
    const double unit = sums[kDiceSums - 1] > 0 ? static_cast<double>(NAN) : 1.0;
    const double sum = of_fixed + of_moving;
    const double size = kForm == DiceSize::kSquares ? sum + kDiceFloor : fmax(sum, kDiceFloor);
    const double dice = 2.0 * common / size * unit;
    double shrinks = 1.0;
    if constexpr (kForm == DiceSize::kSquares) {
      shrinks = 2.0;
    } else if (!(sum > kDiceFloor)) {
      shrinks = 0.0;
    }
    total += counts ? dice : 0.0;
    slopes[label] = counts ? make_float2(static_cast<float>(-2.0 * unit / (size * terms)),
                                         static_cast<float>(shrinks * dice / (size * terms)))
                           : make_float2(0.0F, 0.0F);
  }
  total = block_sum<kDiceBins>(total);
  if (threadIdx.x == 0) {
    *loss = static_cast<float>(1.0 - total / terms);
  }
}

template <DiceSize kForm>
__global__ void __launch_bounds__(kFieldThreads)
    soft_dice_backward_kernel(const std::uint8_t* __restrict__ fixed, const std::uint8_t* __restrict__ moving,
                              const float* __restrict__ flow, const float2* __restrict__ slopes,
                              const float* __restrict__ upstream, float* __restrict__ to_flow, FieldShape shape) {
  __shared__ float2 of_labels[kDiceBins];
  static_assert(kFieldThreads == kDiceBins);
  const FieldThread t(shape, kPlanes);
  const float factor = upstream == nullptr ? 1.0F : __ldg(upstream);
  const float2 mine = __ldg(slopes + static_cast<long long>(t.volume) * kDiceBins + threadIdx.x);
  of_labels[threadIdx.x] = make_float2(factor * mine.x, factor * mine.y);
  __syncthreads();
  const FieldView field(flow, t.volume, shape.voxels);
  const PlanarView to = PlanarOut{to_flow}.of(t.volume, shape.voxels);
  fixed += static_cast<long long>(t.volume) * shape.voxels;
  moving += static_cast<long long>(t.volume) * shape.voxels;
  const int end = min(t.z0 + kPlanes, shape.d);
  int i = t.i;
  Vector3 u = field.at(i);
#pragma unroll 1
  for (int z = t.z0; z < end; ++z, i += shape.plane) {
    const unsigned of_fixed = __ldg(fixed + i);
    const Vector3 next = z + 1 < end ? field.at(i + shape.plane) : u;
    const Place place = place_of<Outside::kZero>(z, t.y, t.x, u, shape);
    const CornerLabels labels(moving, place, shape);
    Vector3 sum = {0.0F, 0.0F, 0.0F};
    if (!labels.are_one()) {
      float values[8] = {};
      if constexpr (kForm == DiceSize::kSquares) {
        float weights[8];
        corner_weights(place.fraction, weights);
        for_each_label(labels, weights, [&](unsigned label, float membership, unsigned having) {
          const float2 slope = of_labels[label];
          const float value = fmaf(slope.y, membership, label == of_fixed ? slope.x : 0.0F);
#pragma unroll
          for (int k = 0; k < 8; ++k) {
            values[k] = (having >> k & 1U) != 0U ? value : values[k];
          }
        });
      } else {
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          const float2 slope = of_labels[labels.of[k]];
          values[k] = slope.y + (labels.of[k] == of_fixed ? slope.x : 0.0F);
        }
      }
      interpolate<true>(values, place.fraction, sum);
    }
    if (t.inside) {
      to.put(i, sum);
    }
    u = next;
  }
}

void check_soft_dice(const SoftDice& work) {
  check_field_size("soft dice", work.size, 1);
  REGATTA_REQUIRE(work.fixed != nullptr && work.moving != nullptr && work.flow != nullptr, BugError,
                  "soft dice: an array is missing");
  REGATTA_REQUIRE(work.labels > (work.background ? 0 : 1) && work.labels <= kMostDiceLabels, BugError,
                  "soft dice: no form for ", work.labels, " labels");
}

template <DiceSize kForm>
void queue_forward(const SoftDice& work, float* slopes, float* loss, unsigned long long* sums, Stream stream) {
  REGATTA_CUDA(cudaMemsetAsync(sums, 0, soft_dice_scratch_bytes(work.size), stream));
  soft_dice_sums_kernel<kForm><<<field_blocks(work.size, kPlanes), kFieldThreads, 0, stream>>>(
      work.fixed, work.moving, work.flow, sums, field_shape(work.size, kPlanes));
  check_launch("soft_dice: sums");
  const int first = work.background ? 0 : 1;
  const double terms = static_cast<double>(work.labels - first) * static_cast<double>(work.size.n);
  soft_dice_loss_kernel<kForm><<<1, kDiceBins, 0, stream>>>(sums, static_cast<int>(work.size.n), first, work.labels,
                                                            terms, reinterpret_cast<float2*>(slopes), loss);
  check_launch("soft_dice: loss");
}

template <DiceSize kForm>
void queue_backward(const SoftDice& work, const float* slopes, const float* upstream, float* to_flow, Stream stream) {
  soft_dice_backward_kernel<kForm><<<field_blocks(work.size, kPlanes), kFieldThreads, 0, stream>>>(
      work.fixed, work.moving, work.flow, reinterpret_cast<const float2*>(slopes), upstream, to_flow,
      field_shape(work.size, kPlanes));
  check_launch("soft_dice: backward");
}

}  // namespace

void soft_dice_forward(const SoftDice& work, float* slopes, float* loss, void* scratch, Stream stream) {
  check_soft_dice(work);
  REGATTA_REQUIRE(slopes != nullptr && loss != nullptr && scratch != nullptr, BugError,
                  "soft dice: slopes, loss or scratch are missing");
  REGATTA_REQUIRE(is_aligned(slopes, 8) && is_aligned(scratch, 8), BugError,
                  "soft dice: slopes or scratch are not aligned to 8 bytes");
  const auto queue =
      work.form == DiceSize::kSquares ? queue_forward<DiceSize::kSquares> : queue_forward<DiceSize::kSums>;
  queue(work, slopes, loss, static_cast<unsigned long long*>(scratch), stream);
}

void soft_dice_backward(const SoftDice& work, const float* slopes, const float* upstream, float* to_flow,
                        Stream stream) {
  check_soft_dice(work);
  REGATTA_REQUIRE(slopes != nullptr && to_flow != nullptr && is_aligned(slopes, 8), BugError,
                  "soft dice: the derivative's arrays are missing, or slopes not aligned to 8 bytes");
  const auto queue =
      work.form == DiceSize::kSquares ? queue_backward<DiceSize::kSquares> : queue_backward<DiceSize::kSums>;
  queue(work, slopes, upstream, to_flow, stream);
}

}  // namespace regatta::kernels
