// Both passes filter fields: four made of the images, or the three coefficients. A block marches along D; a plane is
// filtered along W and H through shared memory, and added to the eleven windows along D that it is part of.
#include <limits>

#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"
#include "kernels/ssim_form.hpp"
#include "regatta/kernels/ssim.hpp"

namespace regatta::kernels {
namespace {

constexpr int kReach = kSsimReach;
constexpr int kWindow = kSsimWindow;
constexpr int kReadRows = kSsimRows + 2 * kReach;
constexpr int kReadColumns = kSsimColumns + 2 * kReach;
constexpr int kPitch = kReadColumns + 3;  ///< odd: two rows of a warp lie in different banks
constexpr int kRead = kReadRows * kReadColumns;
constexpr int kEach = (kRead + kSsimThreads - 1) / kSsimThreads;  ///< voxels a thread reads of a plane
constexpr int kAcross = 2;                                        ///< neighbours along W that a thread filters
constexpr int kFilterThreads = kReadRows * kSsimColumns / kAcross;
constexpr int kOwn = kSsimRows * kSsimColumns / kSsimThreads;  ///< voxels of a plane that a thread finishes
static_assert(kFilterThreads <= kSsimThreads && kOwn * kSsimThreads == kSsimRows * kSsimColumns && kPitch % 2 == 1);

struct Shape {
  int d, h, w;
  int chunks;  ///< of planes in a volume
  long long voxels;
};

struct Weights {
  float of[kWindow];
};

/// What is filtered in the forward pass: both images, their product and the sum of their squares.
struct OfImages {
  static constexpr int kInputs = 2;
  static constexpr int kFields = 4;
  const float* inputs[kInputs];

  __device__ __forceinline__ static void make(const float (&in)[kInputs], float (&out)[kFields]) {
    out[0] = in[0];
    out[1] = in[1];
    out[2] = in[0] * in[1];
    out[3] = fmaf(in[0], in[0], in[1] * in[1]);
  }
};

struct OfCoefficients {
  static constexpr int kInputs = 3;
  static constexpr int kFields = 3;
  const float* inputs[kInputs];

  __device__ __forceinline__ static void make(const float (&in)[kInputs], float (&out)[kFields]) {
#pragma unroll
    for (int f = 0; f < kFields; ++f) {
      out[f] = in[f];
    }
  }
};

/// A block's walk over the filtered fields.
template <class Of>
class Filter {
 public:
  struct Shared {
    float plane[Of::kInputs][kReadRows * kPitch];
    float2 rows[Of::kFields][kReadRows][kSsimColumns / kAcross];
  };

  __device__ __forceinline__ Filter(const Of& of, const Shape& shape, Shared& shared) : shape_(shape), shared_(shared) {
    const int volume = static_cast<int>(blockIdx.z) / shape.chunks;
    z0_ = static_cast<int>(blockIdx.z) % shape.chunks * kSsimPlanes;
    base_ = volume * shape.voxels;
    x0_ = static_cast<int>(blockIdx.x) * kSsimColumns;
    y0_ = static_cast<int>(blockIdx.y) * kSsimRows;
#pragma unroll
    for (int i = 0; i < Of::kInputs; ++i) {
      inputs_[i] = of.inputs[i] + base_;
    }
  }

  /// Calls finish(index in the batch, filtered fields) for each of the thread's voxels inside the volume.
  template <class Finish>
  __device__ __forceinline__ void march(const Weights& weights, const Finish& finish) {
    const int end = min(z0_ + kSsimPlanes, shape_.d);
    float windows[kOwn][Of::kFields][kWindow - 1];  // of later planes, as far as they are summed up
#pragma unroll
    for (int o = 0; o < kOwn; ++o) {
#pragma unroll
      for (int f = 0; f < Of::kFields; ++f) {
#pragma unroll
        for (int k = 0; k < kWindow - 1; ++k) {
          windows[o][f][k] = 0.0F;
        }
      }
    }
    read(z0_ - kReach);
#pragma unroll 1
    for (int z = z0_ - kReach; z < end + kReach; ++z) {
      put_plane();
      __syncthreads();
      filter_rows(weights);
      if (z + 1 < end + kReach) {
        read(z + 1);
      }
      __syncthreads();
      filter_columns(weights, windows, z - kReach, finish);
    }
  }

 private:
  __device__ __forceinline__ void read(int z) {
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      const int i = static_cast<int>(threadIdx.x) + k * kSsimThreads;
      const int y = y0_ - kReach + i / kReadColumns;
      const int x = x0_ - kReach + i % kReadColumns;
      const bool inside = i < kRead && z >= 0 && z < shape_.d && y >= 0 && y < shape_.h && x >= 0 && x < shape_.w;
      const long long at = (static_cast<long long>(z) * shape_.h + y) * shape_.w + x;
#pragma unroll
      for (int input = 0; input < Of::kInputs; ++input) {
        read_[input][k] = inside ? __ldg(inputs_[input] + at) : 0.0F;
      }
    }
  }

  __device__ __forceinline__ void put_plane() {
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      const int i = static_cast<int>(threadIdx.x) + k * kSsimThreads;
      if (i < kRead) {
#pragma unroll
        for (int input = 0; input < Of::kInputs; ++input) {
          shared_.plane[input][i / kReadColumns * kPitch + i % kReadColumns] = read_[input][k];
        }
      }
    }
  }

  __device__ __forceinline__ void filter_rows(const Weights& weights) {
    if (threadIdx.x >= kFilterThreads) {
      return;
    }
    const int row = static_cast<int>(threadIdx.x) / (kSsimColumns / kAcross);
    const int group = static_cast<int>(threadIdx.x) % (kSsimColumns / kAcross);
    float sums[Of::kFields][kAcross] = {};
#pragma unroll
    for (int i = 0; i < kWindow + kAcross - 1; ++i) {
      float in[Of::kInputs];
#pragma unroll
      for (int input = 0; input < Of::kInputs; ++input) {
        in[input] = shared_.plane[input][row * kPitch + group * kAcross + i];
      }
      float fields[Of::kFields];
      Of::make(in, fields);
#pragma unroll
      for (int o = 0; o < kAcross; ++o) {
        if (i >= o && i - o < kWindow) {
#pragma unroll
          for (int f = 0; f < Of::kFields; ++f) {
            sums[f][o] = fmaf(weights.of[i - o], fields[f], sums[f][o]);
          }
        }
      }
    }
#pragma unroll
    for (int f = 0; f < Of::kFields; ++f) {
      shared_.rows[f][row][group] = make_float2(sums[f][0], sums[f][1]);
    }
  }

  /// @param done  the plane whose windows end here
  template <class Finish>
  __device__ __forceinline__ void filter_columns(const Weights& weights,
                                                 float (&windows)[kOwn][Of::kFields][kWindow - 1], int done,
                                                 const Finish& finish) {
    const int column = static_cast<int>(threadIdx.x) % kSsimColumns;
    const int first = static_cast<int>(threadIdx.x) / kSsimColumns * kOwn;
    float filtered[kOwn][Of::kFields] = {};
#pragma unroll
    for (int f = 0; f < Of::kFields; ++f) {
      const float* from = reinterpret_cast<const float*>(&shared_.rows[f][first][0]) + column;
#pragma unroll
      for (int i = 0; i < kWindow + kOwn - 1; ++i) {
        const float value = from[i * kSsimColumns];
#pragma unroll
        for (int o = 0; o < kOwn; ++o) {
          if (i >= o && i - o < kWindow) {
            filtered[o][f] = fmaf(weights.of[i - o], value, filtered[o][f]);
          }
        }
      }
#pragma unroll
      for (int o = 0; o < kOwn; ++o) {
        const float plane = filtered[o][f];
        filtered[o][f] = fmaf(weights.of[0], plane, windows[o][f][0]);
#pragma unroll
        for (int k = 1; k < kWindow - 1; ++k) {
          windows[o][f][k - 1] = fmaf(weights.of[k], plane, windows[o][f][k]);
        }
        windows[o][f][kWindow - 2] = weights.of[kWindow - 1] * plane;
      }
    }
    const int x = x0_ + column;
    if (done >= z0_ && x < shape_.w) {
#pragma unroll
      for (int o = 0; o < kOwn; ++o) {
        const int y = y0_ + first + o;
        if (y < shape_.h) {
          finish(base_ + (static_cast<long long>(done) * shape_.h + y) * shape_.w + x, filtered[o]);
        }
      }
    }
  }

  const Shape& shape_;
  Shared& shared_;
  const float* inputs_[Of::kInputs];
  float read_[Of::kInputs][kEach];
  long long base_;  ///< of the volume in the batch
  int x0_, y0_, z0_;
};

/// @param stride  voxels of the batch: between coefficients
template <bool kWanted>
__global__ void __launch_bounds__(kSsimThreads)
    ssim_forward_kernel(OfImages images, Shape shape, Weights weights, float* __restrict__ coefficients,
                        long long stride, double* __restrict__ parts) {
  __shared__ typename Filter<OfImages>::Shared shared;
  float sum = 0.0F;
  Filter<OfImages> filter(images, shape, shared);
  filter.march(weights, [&](long long at, const float(&means)[4]) {
    const float product = means[0] * means[1];
    const float square = fmaf(means[0], means[0], means[1] * means[1]);
    const float a1 = fmaf(2.0F, product, static_cast<float>(kSsimC1));
    const float a2 = fmaf(2.0F, means[2] - product, static_cast<float>(kSsimC2));
    const float b1 = square + static_cast<float>(kSsimC1);
    const float b2 = (means[3] - square) + static_cast<float>(kSsimC2);
    const float by_b1 = 1.0F / b1;
    const float by_b2 = 1.0F / b2;
    const float scale = by_b1 * by_b2;
    const float similarity = a1 * a2 * scale;
    sum += similarity;
    if constexpr (kWanted) {
      coefficients[at] = 2.0F * ((a2 - a1) * scale * means[0] - similarity * (by_b1 - by_b2) * means[1]);
      coefficients[at + stride] = -similarity * by_b2;
      coefficients[at + 2 * stride] = 2.0F * a1 * scale;
    }
  });
  const float of_block = block_sum<kSsimThreads>(sum);
  if (threadIdx.x == 0) {
    parts[(static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = of_block;
  }
}

__global__ void __launch_bounds__(kSsimThreads)
    ssim_backward_kernel(OfCoefficients of, Shape shape, Weights weights, const float* __restrict__ fixed,
                         const float* __restrict__ warped, float share, const float* __restrict__ upstream,
                         float* __restrict__ to_warped) {
  __shared__ typename Filter<OfCoefficients>::Shared shared;
  const float factor = share * (upstream == nullptr ? 1.0F : __ldg(upstream));
  Filter<OfCoefficients> filter(of, shape, shared);
  filter.march(weights, [&](long long at, const float(&slopes)[3]) {
    const float of_values = fmaf(2.0F * __ldg(warped + at), slopes[1], __ldg(fixed + at) * slopes[2]);
    to_warped[at] = factor * (slopes[0] + of_values);
  });
}

/// loss = 1 - mean
__global__ void __launch_bounds__(1024)
    ssim_mean_kernel(const double* __restrict__ parts, long long count, double voxels, float* __restrict__ loss) {
  double sum = 0.0;
  for (long long i = threadIdx.x; i < count; i += 1024) {
    sum += parts[i];
  }
  sum = block_sum<1024>(sum);
  if (threadIdx.x == 0) {
    *loss = static_cast<float>(1.0 - sum / voxels);
  }
}

Weights weights() {
  Weights out{};
  for (int i = 0; i < kWindow; ++i) {
    out.of[i] = static_cast<float>(ssim_weights()[static_cast<std::size_t>(i)]);
  }
  return out;
}

Shape shape_of(const VolumeSize& size) {
  return {static_cast<int>(size.d), static_cast<int>(size.h), static_cast<int>(size.w),
          static_cast<int>(divide_up(size.d, kSsimPlanes)), size.voxels()};
}

dim3 blocks_of(const VolumeSize& size) {
  const SsimGrid grid = ssim_grid(size);
  return dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
}

void check_pair(const SsimPair& pair) {
  REGATTA_REQUIRE(pair.fixed != nullptr && pair.warped != nullptr, BugError, "ssim: an image is missing");
  for (const std::int64_t length : {pair.size.n, pair.size.d, pair.size.h, pair.size.w}) {
    REGATTA_REQUIRE(length >= 1 && length <= 65535, BugError, "ssim: size ", length);
  }
  REGATTA_REQUIRE(pair.size.voxels() <= std::numeric_limits<int>::max() && ssim_grid(pair.size).z <= 65535, BugError,
                  "ssim: ", pair.size.n, " volumes of ", pair.size.voxels(), " voxels are too large");
}

}  // namespace

void ssim_forward(const SsimPair& pair, float* coefficients, float* loss, void* scratch, Stream stream) {
  check_pair(pair);
  REGATTA_REQUIRE(loss != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError,
                  "ssim: an array is missing, or the scratch not aligned to 8 bytes");
  auto* parts = static_cast<double*>(scratch);
  const auto kernel = coefficients != nullptr ? ssim_forward_kernel<true> : ssim_forward_kernel<false>;
  kernel<<<blocks_of(pair.size), kSsimThreads, 0, stream>>>({{pair.fixed, pair.warped}}, shape_of(pair.size), weights(),
                                                            coefficients, pair.size.all(), parts);
  check_launch("ssim_forward");
  const SsimGrid grid = ssim_grid(pair.size);
  ssim_mean_kernel<<<1, 1024, 0, stream>>>(parts, grid.x * grid.y * grid.z, static_cast<double>(pair.size.all()), loss);
  check_launch("ssim_mean");
}

void ssim_backward(const SsimPair& pair, const float* coefficients, const float* upstream, float* to_warped,
                   Stream stream) {
  check_pair(pair);
  REGATTA_REQUIRE(coefficients != nullptr && to_warped != nullptr, BugError, "ssim: an array is missing");
  const long long all = pair.size.all();
  const auto share = static_cast<float>(-1.0 / static_cast<double>(all));
  ssim_backward_kernel<<<blocks_of(pair.size), kSsimThreads, 0, stream>>>(
      {{coefficients, coefficients + all, coefficients + 2 * all}}, shape_of(pair.size), weights(), pair.fixed,
      pair.warped, share, upstream, to_warped);
  check_launch("ssim_backward");
}

}  // namespace regatta::kernels
