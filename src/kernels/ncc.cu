// NCC: checks, launches, and the backward pass. That one sums without subtraction, since coefficients reach 1e5 in flat
// windows and a running sum would carry their rounding on: along x and y partial sums are shared and only added; along
// z a window is the suffix sum of the group of planes before and the prefix sum of the present one. Planes come through
// shared memory by asynchronous copies that only the thread that asked for them reads.
#include <limits>

#include "kernels/ncc_forward.cuh"

namespace regatta::kernels {
namespace {

__device__ __forceinline__ void copy_floats(float* to, const float* from, int bytes, bool wanted) {
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int source_bytes = wanted ? bytes : 0;  // the rest is filled with 0
  if (bytes == 8) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared), "l"(from), "r"(source_bytes) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(from), "r"(source_bytes) : "memory");
  }
}

__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int kPending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// In the image's own units: converted where it is used, so that nothing waits for the load before.
template <FixedImage kType>
__device__ __forceinline__ unsigned read_fixed(const void* fixed, long long at) {
  if constexpr (kType == FixedImage::kBytes) {
    return __ldg(static_cast<const unsigned char*>(fixed) + at);
  } else {
    return __ldg(static_cast<const unsigned*>(fixed) + at);
  }
}

/// The sums of `kEach` neighbouring windows of kWindow rows each, additions only.
template <int kWindow, int kEach, int kStride>
__device__ __forceinline__ void sum_rows(const float* from, float (&out)[kEach]) {
  float before[kEach - 1];
  float after[kEach - 1];
#pragma unroll
  for (int o = 0; o < kEach - 1; ++o) {
    before[o] = from[o * kStride];
    after[o] = from[(kWindow + o) * kStride];
  }
  float middle = 0.0F;
#pragma unroll
  for (int row = kEach - 1; row < kWindow; ++row) {
    middle += from[row * kStride];
  }
#pragma unroll
  for (int o = 0; o < kEach; ++o) {
    float side = 0.0F;
#pragma unroll
    for (int row = o; row < kEach - 1; ++row) {
      side += before[row];
    }
#pragma unroll
    for (int row = 0; row < o; ++row) {
      side += after[row];
    }
    out[o] = middle + side;
  }
}

template <FixedImage kType, int kRadius, bool kVector>
__global__ void __launch_bounds__(kNccThreads, 1)
    ncc_backward_kernel(NccInput<kType> in, const float* __restrict__ coefficients, const float* __restrict__ upstream,
                        float weight, float* __restrict__ to_warped, NccShape shape) {
  constexpr NccTile kTile = ncc_tile(kRadius);
  constexpr int kWindow = 2 * kRadius + 1;
  constexpr int kEach = kTile.each;
  constexpr int kFields = 3;
  constexpr int kPlane = kFields * kNccRows * kTile.columns;
  constexpr int kStage = kFields * kNccRows * kNccColumns;
  constexpr float kWarpedUnit = 1.0F / static_cast<float>(kFixedPointOne);
  constexpr float kFixedUnit = kType == FixedImage::kBytes ? 1.0F / 255.0F : kWarpedUnit;
  extern __shared__ float ncc_sums_shared[];
  float* copies = ncc_sums_shared + 2 * kPlane;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int column = static_cast<int>(threadIdx.x) % kTile.columns;
  const int group = min(static_cast<int>(threadIdx.x) / kTile.columns, kTile.rows / kEach - 1);
  const bool writes = static_cast<int>(threadIdx.x) < kTile.columns * (kTile.rows / kEach);
  const long long plane = shape.plane();
  const long long volumes = shape.voxels() * shape.n;
  const float factor = upstream == nullptr ? weight : weight * *upstream;
  float* own_copies = copies + 2 * warp * kNccColumns + 2 * lane;
  long long at = first_pair(shape, blockIdx.x);
  const long long end = first_pair(shape, blockIdx.x + 1);
  while (at < end) {
    const NccRun run = ncc_run(shape, kTile, at, end);
    at += run.z1 - run.z0;
    const int x = run.x0 + 2 * (lane - kTile.halo);
    const int y = run.y0 - kRadius + 2 * warp;
    const bool has_x[2] = {x >= 0 && x < shape.w, x + 1 >= 0 && x + 1 < shape.w};
    const bool has_y[2] = {y >= 0 && y < shape.h, y + 1 >= 0 && y + 1 < shape.h};
    const int last = run.z1 - 1 + kRadius;
    const float* corner = coefficients + run.base + static_cast<long long>(y) * shape.w + x;
    const auto ask = [&](int z) {
      float* to = own_copies + (z & (kNccStages - 1)) * kStage;
      const bool has_z = z >= 0 && z < shape.d && z <= last;
#pragma unroll
      for (int row = 0; row < 2; ++row) {
#pragma unroll(kVector ? kFields : 1)  // the other form has no registers left for all addresses at once
        for (int f = 0; f < kFields; ++f) {
          const bool inside = has_z && has_y[row];
          const float* from = corner + f * volumes + z * plane + row * shape.w;
          float* slot = to + (f * kNccRows + row) * kNccColumns;
          if constexpr (kVector) {
            copy_floats(slot, inside && has_x[0] ? from : coefficients, 8, inside && has_x[0]);
          } else {
            copy_floats(slot, inside && has_x[0] ? from : coefficients, 4, inside && has_x[0]);
            copy_floats(slot + 1, inside && has_x[1] ? from + 1 : coefficients, 4, inside && has_x[1]);
          }
        }
      }
      commit_copies();
    };
    /// x sums of a plane whose copies have come.
    const auto sum_plane = [&](int z) {
      const float* from = own_copies + (z & (kNccStages - 1)) * kStage;
      float* to = ncc_sums_shared + (z & 1) * kPlane + 2 * warp * kTile.columns + 2 * (lane - kTile.halo);
#pragma unroll
      for (int row = 0; row < 2; ++row) {
#pragma unroll
        for (int f = 0; f < kFields; ++f) {
          const float2 two = *reinterpret_cast<const float2*>(from + (f * kNccRows + row) * kNccColumns);
          float2 around;
          sum_along_x<kRadius>(two.x, two.y, around.x, around.y);
          if (lane >= kTile.halo && lane < 32 - kTile.halo) {
            *reinterpret_cast<float2*>(to + (f * kNccRows + row) * kTile.columns) = around;
          }
        }
      }
    };
    const int to_x = run.x0 + column;
    const int to_y = run.y0 + group * kEach;
    const long long to = run.base + static_cast<long long>(min(to_y, shape.h - 1)) * shape.w + min(to_x, shape.w - 1);
    const int rows = writes && to_x < shape.w ? min(max(shape.h - to_y, 0), kEach) : 0;
    float ring[kFields][kEach][kWindow];
    float prefix[kFields][kEach];
#pragma unroll
    for (int f = 0; f < kFields; ++f) {
#pragma unroll
      for (int o = 0; o < kEach; ++o) {
#pragma unroll
        for (int k = 0; k < kWindow; ++k) {
          ring[f][o][k] = 0.0F;
        }
      }
    }
    const int first = run.z0 - kRadius;
    ask(first);
    ask(first + 1);
    wait_for_copies<1>();
    sum_plane(first);
    ask(first + 2);
    for (int z_group = first; z_group <= last; z_group += kWindow) {
#pragma unroll
      for (int f = 0; f < kFields; ++f) {
#pragma unroll
        for (int o = 0; o < kEach; ++o) {
          prefix[f][o] = 0.0F;
        }
      }
#pragma unroll
      for (int k = 0; k < kWindow; ++k) {
        const int z_in = z_group + k;
        if (z_in <= last) {
          __syncthreads();
          const int z = z_in - kRadius;
          unsigned fixed[kEach];
          unsigned warped[kEach];
          float result[kEach];
          const auto read_images = [&] {
            const long long here = to + max(z, run.z0) * plane;
#pragma unroll
            for (int o = 0; o < kEach; ++o) {
              const long long voxel = here + (o < rows ? o * shape.w : 0);
              fixed[o] = read_fixed<kType>(in.fixed, voxel);
              warped[o] = __ldg(in.warped + voxel);
            }
          };
          if constexpr (kVector) {
            read_images();
          }
          wait_for_copies<1>();
          sum_plane(z_in + 1);
          ask(z_in + 3);
          if constexpr (!kVector) {
            read_images();  // later: it has fewer registers left
          }
          const float* sums = ncc_sums_shared + (z_in & 1) * kPlane + group * kEach * kTile.columns + column;
#pragma unroll
          for (int f = 0; f < kFields; ++f) {
            float row_sums[kEach];
            sum_rows<kWindow, kEach, kTile.columns>(sums + f * kNccRows * kTile.columns, row_sums);
#pragma unroll
            for (int o = 0; o < kEach; ++o) {
              prefix[f][o] += row_sums[o];
              const float window = prefix[f][o] + (k < kWindow - 1 ? ring[f][o][k < kWindow - 1 ? k + 1 : k] : 0.0F);
              ring[f][o][k] = row_sums[o];
              if (f == 0) {
                result[o] = static_cast<float>(fixed[o]) * kFixedUnit * window;
              } else if (f == 1) {
                result[o] = fmaf(static_cast<float>(warped[o]) * kWarpedUnit, window, result[o]);
              } else {
                result[o] += window;
              }
            }
          }
          if (z >= run.z0) {
#pragma unroll
            for (int o = 0; o < kEach; ++o) {
              if (o < rows) {
                to_warped[to + z * plane + o * shape.w] = factor * result[o];
              }
            }
          }
        }
      }
#pragma unroll
      for (int f = 0; f < kFields; ++f) {
#pragma unroll
        for (int o = 0; o < kEach; ++o) {
#pragma unroll
          for (int k = kWindow - 2; k >= 0; --k) {
            ring[f][o][k] += ring[f][o][k + 1];
          }
        }
      }
    }
    wait_for_copies<0>();
    __syncthreads();
  }
}

template <FixedImage kType, int kRadius, bool kVector>
void launch_ncc_backward(const NccPair& pair, const float* coefficients, const float* upstream, float* to_warped,
                         unsigned blocks, Stream stream) {
  constexpr NccTile kTile = ncc_tile(kRadius);
  const auto kernel = ncc_backward_kernel<kType, kRadius, kVector>;
  const std::size_t shared = ncc_backward_shared_bytes(kTile);
  REGATTA_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  const auto weight = static_cast<float>(pair.weight / static_cast<double>(pair.size.all()));
  kernel<<<blocks, kNccThreads, shared, stream>>>({pair.fixed, pair.warped}, coefficients, upstream, weight, to_warped,
                                                  ncc_shape(pair.size, kTile));
  check_launch("ncc_backward");
}

using NccBackwardLaunch = void (*)(const NccPair&, const float*, const float*, float*, unsigned, Stream);

/// By radius - 1, then by vector form.
template <FixedImage kType>
constexpr NccBackwardLaunch kNccBackward[5][2] = {
    {launch_ncc_backward<kType, 1, false>, launch_ncc_backward<kType, 1, true>},
    {launch_ncc_backward<kType, 2, false>, launch_ncc_backward<kType, 2, true>},
    {launch_ncc_backward<kType, 3, false>, launch_ncc_backward<kType, 3, true>},
    {launch_ncc_backward<kType, 4, false>, launch_ncc_backward<kType, 4, true>},
    {launch_ncc_backward<kType, 5, false>, launch_ncc_backward<kType, 5, true>}};

void check_pair(const NccPair& pair, const Capability& chip) {
  REGATTA_REQUIRE(ncc_has_form(pair.window, pair.type, chip), BugError, "ncc: no form for window ", pair.window,
                  " on compute capability ", chip.major, ".", chip.minor);
  REGATTA_REQUIRE(pair.fixed != nullptr && pair.warped != nullptr, BugError, "ncc: an image is missing");
  for (const std::int64_t size : {pair.size.n, pair.size.d, pair.size.h, pair.size.w}) {
    REGATTA_REQUIRE(size >= 1 && size <= std::numeric_limits<int>::max() / 2, BugError, "ncc: size ", size);
  }
  const NccShape shape = ncc_shape(pair.size, ncc_tile(pair.window / 2));
  constexpr long long kMost = std::numeric_limits<int>::max();
  REGATTA_REQUIRE(shape.plane() <= kMost && shape.columns() <= kMost / shape.d, BugError, "ncc: planes of ", shape.h,
                  "x", shape.w, " voxels, or too many");
}

bool is_vector(const NccPair& pair, const float* coefficients) {
  return pair.size.w % 2 == 0 && is_aligned(pair.fixed, pair.type == FixedImage::kBytes ? 2 : 8) &&
         is_aligned(pair.warped, 8) && is_aligned(coefficients, 8);
}

}  // namespace

void ncc_forward(const NccPair& pair, float* coefficients, float* loss, void* scratch, const Capability& chip,
                 Stream stream) {
  check_pair(pair, chip);
  REGATTA_REQUIRE(loss != nullptr && scratch != nullptr, BugError, "ncc: an array is missing");
  auto* parts = static_cast<double*>(scratch);
  const auto blocks = static_cast<unsigned>(chip.multiprocessors);
  const bool vector = pair.mask == nullptr && is_vector(pair, coefficients);
  if (pair.type == FixedImage::kBytes) {
    ncc_forward_bytes(pair, coefficients, parts, blocks, vector, stream);
  } else {
    ncc_forward_fixed_point(pair, coefficients, parts, blocks, vector, stream);
  }
  sum_parts(parts, blocks, pair.weight / static_cast<double>(pair.size.all()), loss, stream);
}

void ncc_backward(const NccPair& pair, const float* coefficients, const float* upstream, float* to_warped,
                  const Capability& chip, Stream stream) {
  check_pair(pair, chip);
  REGATTA_REQUIRE(coefficients != nullptr && to_warped != nullptr, BugError, "ncc: an array is missing");
  const bool vector = is_vector(pair, coefficients);
  const int radius = pair.window / 2;
  const auto launch = pair.type == FixedImage::kBytes
                          ? kNccBackward<FixedImage::kBytes>[radius - 1][vector ? 1 : 0]
                          : kNccBackward<FixedImage::kFixedPoint>[radius - 1][vector ? 1 : 0];
  launch(pair, coefficients, upstream, to_warped, static_cast<unsigned>(chip.multiprocessors), stream);
}

}  // namespace regatta::kernels
