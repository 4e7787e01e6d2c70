// Of cubes: a warp has one in its registers from the histogram to the derivatives.
#include "kernels/parzen.cuh"
#include "kernels/reduce.cuh"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 32 * kCubesOfBlock;
constexpr int kGroups = 4;  ///< rows of a lane are kGroups, columns 2 x 4

/// Cubes along an axis, and zeros before the first voxel.
struct Axis {
  int length, cubes, before;
};

struct Cubes {
  Axis d, h, w;
  int edge;
  int voxels;        ///< of a cube
  long long volume;  ///< voxels
  long long count;
};

/// A warp's cube.
struct Cube {
  long long base;  ///< of its volume
  int z, y, x;     ///< of its first voxel, below 0 in zeros

  __device__ __forceinline__ Cube(long long index, const Cubes& cubes) {
    x = static_cast<int>(index % cubes.w.cubes) * cubes.edge - cubes.w.before;
    index /= cubes.w.cubes;
    y = static_cast<int>(index % cubes.h.cubes) * cubes.edge - cubes.h.before;
    index /= cubes.h.cubes;
    z = static_cast<int>(index % cubes.d.cubes) * cubes.edge - cubes.d.before;
    base = index / cubes.d.cubes * cubes.volume;
  }

  /// The index of a cube's voxel in the batch; -1 in zeros and beyond the cube.
  __device__ __forceinline__ long long voxel(int i, const unsigned* offsets, const Cubes& cubes) const {
    if (i >= cubes.voxels) {
      return -1;
    }
    const unsigned offset = offsets[i];
    const int at_z = z + static_cast<int>(offset >> 16);
    const int at_y = y + static_cast<int>(offset >> 8 & 0xffU);
    const int at_x = x + static_cast<int>(offset & 0xffU);
    const bool inside =
        at_z >= 0 && at_z < cubes.d.length && at_y >= 0 && at_y < cubes.h.length && at_x >= 0 && at_x < cubes.w.length;
    return inside ? base + (static_cast<long long>(at_z) * cubes.h.length + at_y) * cubes.w.length + at_x : -1;
  }
};

/// A warp's margins of a joint histogram: of a lane's four rows and eight columns.
struct LaneMargins {
  float rows[2][2];     ///< [m][half]
  float columns[4][2];  ///< [n][odd]

  __device__ __forceinline__ explicit LaneMargins(const JointBins& joint) {
#pragma unroll
    for (int r = 0; r < kGroups; ++r) {
      float sum = 0.0F;
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        sum += joint.of[r / 2][c / 2][r % 2 * 2 + c % 2];
      }
      rows[r / 2][r % 2] = over_row(sum);
    }
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      float sum = 0.0F;
#pragma unroll
      for (int r = 0; r < kGroups; ++r) {
        sum += joint.of[r / 2][c / 2][r % 2 * 2 + c % 2];
      }
      columns[c / 2][c % 2] = over_column(sum);
    }
  }

  __device__ __forceinline__ static float over_row(float sum) {
    sum += __shfl_xor_sync(kWarp, sum, 1);
    return sum + __shfl_xor_sync(kWarp, sum, 2);
  }

  __device__ __forceinline__ static float over_column(float sum) {
    sum += __shfl_xor_sync(kWarp, sum, 4);
    sum += __shfl_xor_sync(kWarp, sum, 8);
    return sum + __shfl_xor_sync(kWarp, sum, 16);
  }
};

constexpr auto kFloor = static_cast<float>(kInformationFloor);

/// Overwrites the joint histogram, which adds up to 1, with the derivatives. @return a lane's part of the information
__device__ __forceinline__ float differentiate(JointBins& joint) {
  const LaneMargins margins(joint);
  float sum = 0.0F;
  float to_rows[2][2] = {};
  float to_columns[4][2] = {};
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    float& p = joint.of[i / 16][i / 4 % 4][i % 4];
    const float row = margins.rows[i / 16][i % 4 / 2];
    const float column = margins.columns[i / 4 % 4][i % 2];
    const float inverse = __fdividef(1.0F, fmaf(row, column, kFloor));
    const float inner = fmaf(p, inverse, kFloor);
    const float ratio = p * __fdividef(inverse, inner);
    const float logarithm = __logf(inner);
    sum = fmaf(p, logarithm, sum);
    const float to_independent = -ratio * p * inverse;
    to_rows[i / 16][i % 4 / 2] = fmaf(to_independent, column, to_rows[i / 16][i % 4 / 2]);
    to_columns[i / 4 % 4][i % 2] = fmaf(to_independent, row, to_columns[i / 4 % 4][i % 2]);
    p = logarithm + ratio;
  }
#pragma unroll
  for (int r = 0; r < kGroups; ++r) {
    to_rows[r / 2][r % 2] = LaneMargins::over_row(to_rows[r / 2][r % 2]);
  }
#pragma unroll
  for (int c = 0; c < 8; ++c) {
    to_columns[c / 2][c % 2] = LaneMargins::over_column(to_columns[c / 2][c % 2]);
  }
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    joint.of[i / 16][i / 4 % 4][i % 4] += to_rows[i / 16][i % 4 / 2] + to_columns[i / 4 % 4][i % 2];
  }
  return sum;
}

/// What a lane holds of a histogram is what it needs of a right operand.
__device__ __forceinline__ JointSlopes as_slopes(const JointBins& joint) {
  JointSlopes slopes;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const int k = i / 8;
    const int n = i / 2 % 4;
    const int half = i % 2;
    const float* of = joint.of[n / 2][2 * k + half] + n % 2 * 2;
    slopes.of[k][n][half] = SplitPair(of[0], of[1]);
  }
  return slopes;
}

/// @param parts  a block's sum of information
/// @param share  of a cube's voxel in the loss
template <bool kWanted>
__global__ void __launch_bounds__(kThreads, 4)
    cubes_kernel(const float* __restrict__ fixed, const float* __restrict__ warped, Cubes cubes, Windows windows,
                 float share, float* __restrict__ to_warped, double* __restrict__ parts) {
  extern __shared__ unsigned offsets[];
  for (int i = static_cast<int>(threadIdx.x); i < cubes.voxels; i += kThreads) {
    const int plane = cubes.edge * cubes.edge;
    offsets[i] = static_cast<unsigned>(i / plane << 16 | i % plane / cubes.edge << 8 | i % cubes.edge);
  }
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const long long index = static_cast<long long>(blockIdx.x) * kCubesOfBlock + threadIdx.x / 32;
  float information = 0.0F;
  if (index < cubes.count) {
    const Cube cube(index, cubes);
    JointBins joint;
    joint.clear();
#pragma unroll 1
    for (int first = 0; first < cubes.voxels; first += 16) {
      float of_fixed[4];
      float of_warped[4];
      bool counts[4];
#pragma unroll
      for (int v = 0; v < 4; ++v) {
        const int i = first + lane % 4 * 4 + v;
        const long long at = cube.voxel(i, offsets, cubes);
        counts[v] = i < cubes.voxels;
        of_fixed[v] = at >= 0 ? __ldg(fixed + at) : 0.0F;
        of_warped[v] = at >= 0 ? __ldg(warped + at) : 0.0F;
      }
      const VoxelBins fixed_bins(of_fixed, counts, windows);
      const VoxelBins warped_bins(of_warped, counts, windows);
      add_voxels(joint, fixed_bins, warped_bins);
    }
    const float scale = 1.0F / static_cast<float>(cubes.voxels);
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      joint.of[i / 16][i / 4 % 4][i % 4] *= scale;
    }
    information = differentiate(joint);
    if constexpr (kWanted) {
      const JointSlopes slopes = as_slopes(joint);
#pragma unroll 1
      for (int first = 0; first < cubes.voxels; first += 16) {
        long long at[2];
        float of_fixed[2];
        float of_warped[2];
#pragma unroll
        for (int v = 0; v < 2; ++v) {
          at[v] = cube.voxel(first + lane / 4 + 8 * v, offsets, cubes);
          of_fixed[v] = at[v] >= 0 ? __ldg(fixed + at[v]) : 0.0F;
          of_warped[v] = at[v] >= 0 ? __ldg(warped + at[v]) : 0.0F;
        }
        float out[2];
        voxel_slopes(of_fixed, of_warped, windows, slopes, out);
        const long long own = lane % 2 == 0 ? at[0] : at[1];
        if (lane % 4 < 2 && own >= 0) {
          to_warped[own] = share * (lane % 2 == 0 ? out[0] : out[1]);
        }
      }
    }
  }
  const float sum = block_sum<kThreads>(information);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = sum;
  }
}

Cubes cubes_of(const VolumeSize& size, int edge) {
  const auto axis = [&](std::int64_t length) {
    const CubeAxis of = cube_axis(length, edge);
    return Axis{static_cast<int>(length), static_cast<int>(of.cubes), static_cast<int>(of.before)};
  };
  return {axis(size.d), axis(size.h), axis(size.w), edge, edge * edge * edge, size.voxels(), cube_count(size, edge)};
}

}  // namespace

void local_mutual_information(const ParzenPair& pair, int edge, float* to_warped, float* loss, void* scratch,
                              Stream stream) {
  constexpr const char* kName = "local mutual information";
  check_windows(kName, pair);
  REGATTA_REQUIRE(edge >= 2 && edge <= kMostParzenCube, BugError, kName, ": cubes of ", edge);
  REGATTA_REQUIRE(loss != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError, kName,
                  ": an array is missing, or the scratch not aligned to 8 bytes");
  const Cubes cubes = cubes_of(pair.size, edge);
  const long long blocks = divide_up(cubes.count, kCubesOfBlock);
  REGATTA_REQUIRE(blocks < 1LL << 31, BugError, kName, ": ", cubes.count, " cubes are too many");
  auto* parts = static_cast<double*>(scratch);
  const auto share = static_cast<float>(-1.0 / (static_cast<double>(cubes.count) * cubes.voxels));
  const auto kernel = to_warped != nullptr ? cubes_kernel<true> : cubes_kernel<false>;
  const std::size_t shared = static_cast<std::size_t>(cubes.voxels) * sizeof(unsigned);
  kernel<<<static_cast<unsigned>(blocks), kThreads, shared, stream>>>(pair.fixed, pair.warped, cubes, windows_of(pair),
                                                                      share, to_warped, parts);
  check_launch("local_mutual_information");
  sum_parts(parts, blocks, -1.0 / static_cast<double>(cubes.count), loss, stream);
}

}  // namespace regatta::kernels
