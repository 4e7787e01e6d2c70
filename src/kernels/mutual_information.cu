// Of all voxels: a warp adds up its joint histogram in registers, blocks write theirs, one block makes the loss of
// them.
#include "kernels/parzen.cuh"
#include "kernels/reduce.cuh"

namespace regatta::kernels {
namespace {

constexpr int kWarps = kParzenThreads / 32;
constexpr int kBins = kMostParzenBins;
constexpr int kMergedBins = 32;  ///< of a block that merges
constexpr int kMergeSlices = kParzenThreads / kMergedBins;

/// Calls visit(first voxel) for each 16 voxels of a warp.
template <class Visit>
__device__ __forceinline__ void for_each_sixteen(long long voxels, const Visit& visit) {
  const long long warp = static_cast<long long>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const long long step = static_cast<long long>(gridDim.x) * kWarps * 16;
#pragma unroll 1
  for (long long first = warp * 16; first < voxels; first += step) {
    visit(first);
  }
}

__device__ __forceinline__ VoxelBins read_bins(const float* image, long long first, long long voxels,
                                               const Windows& windows) {
  float intensities[4];
  bool counts[4];
#pragma unroll
  for (int v = 0; v < 4; ++v) {
    const long long i = first + threadIdx.x % 4 * 4 + v;
    counts[v] = i < voxels;
    intensities[v] = counts[v] ? __ldg(image + i) : 0.0F;
  }
  return VoxelBins(intensities, counts, windows);
}

/// @param parts  [n, blocks, kParzenTable], a row for each bin of the warped image
__global__ void __launch_bounds__(kParzenThreads, 2)
    histogram_kernel(const float* __restrict__ fixed, const float* __restrict__ warped, long long voxels,
                     Windows windows, float* __restrict__ parts) {
  __shared__ float of_warps[kWarps][kParzenTable];
  const float* own_fixed = fixed + blockIdx.y * voxels;
  const float* own_warped = warped + blockIdx.y * voxels;
  JointBins joint;
  joint.clear();
  for_each_sixteen(voxels, [&](long long first) {
    const VoxelBins of_fixed = read_bins(own_fixed, first, voxels, windows);
    const VoxelBins of_warped = read_bins(own_warped, first, voxels, windows);
    add_voxels(joint, of_fixed, of_warped);
  });
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = 16 * m + 8 * (i / 2) + lane / 4;
        of_warps[threadIdx.x / 32][row * kBins + 8 * n + lane % 4 * 2 + i % 2] = joint.of[m][n][i];
      }
    }
  }
  __syncthreads();
  float* to = parts + (static_cast<long long>(blockIdx.y) * gridDim.x + blockIdx.x) * kParzenTable;
  for (int bin = static_cast<int>(threadIdx.x); bin < kParzenTable; bin += kParzenThreads) {
    float sum = 0.0F;
    for (int warp = 0; warp < kWarps; ++warp) {
      sum += of_warps[warp][bin];
    }
    to[bin] = sum;
  }
}

/// @param joint  [n, kParzenTable]
__global__ void __launch_bounds__(kParzenThreads)
    merge_kernel(const float* __restrict__ parts, double* __restrict__ joint) {
  __shared__ double of_slices[kMergeSlices][kMergedBins];
  const int bin = static_cast<int>(threadIdx.x) % kMergedBins;
  const int slice = static_cast<int>(threadIdx.x) / kMergedBins;
  const float* from =
      parts + static_cast<long long>(blockIdx.y) * kParzenBlocks * kParzenTable + blockIdx.x * kMergedBins + bin;
  double sum = 0.0;
#pragma unroll 8
  for (int block = slice; block < kParzenBlocks; block += kMergeSlices) {
    sum += __ldg(from + static_cast<long long>(block) * kParzenTable);
  }
  of_slices[slice][bin] = sum;
  __syncthreads();
  if (slice == 0) {
    for (int other = 1; other < kMergeSlices; ++other) {
      sum += of_slices[other][bin];
    }
    joint[static_cast<long long>(blockIdx.y) * kParzenTable + blockIdx.x * kMergedBins + bin] = sum;
  }
}

/// Over a warp, in all lanes.
__device__ __forceinline__ double warp_sum(double value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value += __shfl_xor_sync(kWarp, value, lanes);
  }
  return value;
}

/// The sums of `value` over the columns of each row, and over the rows of each column: thread 32 row + column.
struct Margins {
  double row, column;

  __device__ __forceinline__ Margins(double value, double (&table)[kBins][kBins + 1]) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    row = warp_sum(value);
    table[warp][lane] = value;
    __syncthreads();
    const double of_warp = warp_sum(table[lane][warp]);  // of the column `warp`
    __syncthreads();
    if (lane == 0) {
      table[0][warp] = of_warp;
    }
    __syncthreads();
    column = table[0][lane];
    __syncthreads();
  }
};

/// @param slopes  [n, kParzenTable]: of the loss, by number of voxels. @param voxels  of a volume
__global__ void __launch_bounds__(kParzenTable)
    information_kernel(const double* __restrict__ joint, int volumes, double voxels, float* __restrict__ slopes,
                       float* __restrict__ loss) {
  __shared__ double table[kBins][kBins + 1];
  double sum = 0.0;
  for (int n = 0; n < volumes; ++n) {
    const double p = joint[static_cast<long long>(n) * kParzenTable + threadIdx.x] / voxels;
    const Margins margins(p, table);
    const double independent = margins.row * margins.column + kInformationFloor;
    const double inner = p / independent + kInformationFloor;
    const double to_independent = -p * p / (inner * independent * independent);
    const double to_row = Margins(to_independent * margins.column, table).row;
    const double to_column = Margins(to_independent * margins.row, table).column;
    const double slope = log(inner) + p / (inner * independent) + to_row + to_column;
    slopes[static_cast<long long>(n) * kParzenTable + threadIdx.x] = static_cast<float>(slope);
    sum += p * log(inner);
  }
  sum = block_sum<kParzenTable>(sum);
  if (threadIdx.x == 0) {
    *loss = static_cast<float>(-sum / volumes);
  }
}

/// @param slopes  [n, bins of the warped image, those of the fixed one]
/// @param image   the derivative is with respect to; `other` is the other one
/// @param step, other_step  of the slopes between bins of `image` and of `other`
__global__ void __launch_bounds__(kParzenThreads, 2)
    information_backward_kernel(const float* __restrict__ other, const float* __restrict__ image, long long voxels,
                                Windows windows, const float* __restrict__ slopes, int step, int other_step,
                                float share, const float* __restrict__ upstream, float* __restrict__ to_image) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const float factor = share * (upstream == nullptr ? 1.0F : __ldg(upstream));
  JointSlopes joint;
  const float* own = slopes + blockIdx.y * kParzenTable;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const int bin = 8 * (i / 2 % 4) + lane / 4;
    const int other_bin = 16 * (i / 8) + 8 * (i % 2) + lane % 4 * 2;
    const float* at = own + bin * step + other_bin * other_step;
    joint.of[i / 8][i / 2 % 4][i % 2] = SplitPair(__ldg(at), __ldg(at + other_step));
  }
  const float* own_other = other + blockIdx.y * voxels;
  const float* own_image = image + blockIdx.y * voxels;
  for_each_sixteen(voxels, [&](long long first) {
    float of_other[2];
    float of_image[2];
#pragma unroll
    for (int v = 0; v < 2; ++v) {
      const long long i = first + lane / 4 + 8 * v;
      of_other[v] = i < voxels ? __ldg(own_other + i) : 0.0F;
      of_image[v] = i < voxels ? __ldg(own_image + i) : 0.0F;
    }
    float out[2];
    voxel_slopes(of_other, of_image, windows, joint, out);
    const long long i = first + lane / 4 + 8 * (lane % 2);
    if (lane % 4 < 2 && i < voxels) {
      to_image[blockIdx.y * voxels + i] = factor * (lane % 2 == 0 ? out[0] : out[1]);
    }
  });
}

constexpr const char* kName = "mutual information";

dim3 histogram_blocks(const VolumeSize& size) {
  return dim3(kParzenBlocks, static_cast<unsigned>(size.n));
}

}  // namespace

void mutual_information_forward(const ParzenPair& pair, float* slopes, float* loss, void* scratch, Stream stream) {
  check_windows(kName, pair);
  REGATTA_REQUIRE(slopes != nullptr && loss != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError, kName,
                  ": an array is missing, or the scratch not aligned to 8 bytes");
  auto* joint = static_cast<double*>(scratch);
  auto* parts = reinterpret_cast<float*>(joint + pair.size.n * kParzenTable);
  histogram_kernel<<<histogram_blocks(pair.size), kParzenThreads, 0, stream>>>(
      pair.fixed, pair.warped, pair.size.voxels(), windows_of(pair), parts);
  check_launch("mutual_information_histogram");
  merge_kernel<<<dim3(kParzenTable / kMergedBins, static_cast<unsigned>(pair.size.n)), kParzenThreads, 0, stream>>>(
      parts, joint);
  check_launch("mutual_information_merge");
  information_kernel<<<1, kParzenTable, 0, stream>>>(joint, static_cast<int>(pair.size.n),
                                                     static_cast<double>(pair.size.voxels()), slopes, loss);
  check_launch("mutual_information");
}

void mutual_information_backward(const ParzenPair& pair, ParzenImage image, const float* slopes, const float* upstream,
                                 float* to_image, Stream stream) {
  check_windows(kName, pair);
  REGATTA_REQUIRE(slopes != nullptr && to_image != nullptr, BugError, kName, ": an array is missing");
  const bool warped = image == ParzenImage::kWarped;
  const auto share = static_cast<float>(-1.0 / static_cast<double>(pair.size.all()));
  information_backward_kernel<<<histogram_blocks(pair.size), kParzenThreads, 0, stream>>>(
      warped ? pair.fixed : pair.warped, warped ? pair.warped : pair.fixed, pair.size.voxels(), windows_of(pair),
      slopes, warped ? kBins : 1, warped ? 1 : kBins, share, upstream, to_image);
  check_launch("mutual_information_backward");
}

}  // namespace regatta::kernels
