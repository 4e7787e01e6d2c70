// A thread has one voxel and goes through its 27 neighbours, 8 channels at a time; what neighbours share comes from the
// L1 cache.
#include <cmath>

#include "kernels/features.cuh"
#include "kernels/field_view.cuh"
#include "kernels/reduce.cuh"
#include "regatta/kernels/neighbourhood_attention.hpp"

namespace regatta::kernels {
namespace {

constexpr int kNeighbours = 27;
constexpr int kWidth = 32;
constexpr int kHeight = 4;
constexpr int kThreads = kWidth * kHeight;
constexpr int kBlocks = 3;  ///< on a multiprocessor: more have too few registers for loads ahead

/// Of the kernel that goes by queries backward: before 9.0 three would spill. That by keys always needs two.
constexpr int query_blocks() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  return 2;
#else
  return kBlocks;
#endif
}

constexpr int kKeyBlocks = 2;
constexpr double kLog2E = 1.4426950408889634;

struct Grid {
  int d, h, w;        ///< of the queries
  int groups;         ///< vectors of 8 channels
  float to_exponent;  ///< log2(e) / sqrt(C): logits are powers of two
  float to_logit;     ///< 1 / sqrt(C)
  bool inside;

  __device__ __forceinline__ int voxels() const { return d * h * w; }
};

/// Where a thread stands, in a volume with `more` voxels along each axis than the queries.
struct Voxel {
  int volume, z, y, x;
  bool inside;

  __device__ __forceinline__ Voxel(const Grid& grid, int more)
      : volume(static_cast<int>(blockIdx.z) / (grid.d + more)),
        z(static_cast<int>(blockIdx.z) % (grid.d + more)),
        y(static_cast<int>(blockIdx.y) * kHeight + static_cast<int>(threadIdx.x) / kWidth),
        x(static_cast<int>(blockIdx.x) * kWidth + static_cast<int>(threadIdx.x) % kWidth),
        inside(y < grid.h + more && x < grid.w + more) {}

  /// In the batch.
  __device__ __forceinline__ long long index(const Grid& grid, int more) const {
    const long long plane = static_cast<long long>(volume) * (grid.d + more) + z;
    return (plane * (grid.h + more) + y) * (grid.w + more) + x;
  }
};

/// Vectors to the neighbours' of one voxel, the first at offset (-1, -1, -1).
struct Neighbours {
  const uint4* first;
  int row, plane;
  int groups;

  __device__ __forceinline__ Neighbours(const uint4* key, const Voxel& at, const Grid& grid)
      : first(key + (((static_cast<long long>(at.volume) * (grid.d + 2) + at.z) * (grid.h + 2) + at.y) * (grid.w + 2) +
                     at.x) *
                        grid.groups),
        row((grid.w + 2) * grid.groups),
        plane((grid.h + 2) * row),
        groups(grid.groups) {}

  __device__ __forceinline__ Eight at(int k, int group) const {
    return unpack(__ldg(first + (k / 9 * plane + k / 3 % 3 * row + k % 3 * groups + group)));
  }
};

__device__ __forceinline__ float dot(const Eight& a, const Eight& b, float sum) {
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    sum = fmaf(a.v[c], b.v[c], sum);
  }
  return sum;
}

/// What a query finds: weights that are still to be divided by their sum, and the mean offset.
struct Match {
  float weights[kNeighbours];
  float sum;
  float exponent;  ///< log2 of what the exponentials of the logits add up to
  Vector3 mean;

  __device__ __forceinline__ Match(const uint4* query, const Neighbours& keys, const Grid& grid) {
#pragma unroll
    for (int k = 0; k < kNeighbours; ++k) {
      weights[k] = 0.0F;
    }
#pragma unroll 1
    for (int group = 0; group < grid.groups; ++group) {
      const Eight own = scaled(grid.to_exponent, unpack(__ldg(query + group)));
#pragma unroll
      for (int k = 0; k < kNeighbours; ++k) {
        weights[k] = dot(own, keys.at(k, group), weights[k]);
      }
    }
    float largest = weights[0];
#pragma unroll
    for (int k = 1; k < kNeighbours; ++k) {
      largest = fmaxf(largest, weights[k]);
    }
    // Opposite faces are summed in the same order, so that equal weights give exactly 0.
    float low[3] = {};
    float high[3] = {};
    float middle = 0.0F;
#pragma unroll
    for (int k = 0; k < kNeighbours; ++k) {
      weights[k] = exp2f(weights[k] - largest);
      const int at[3] = {k / 9, k / 3 % 3, k % 3};
#pragma unroll
      for (int axis = 0; axis < 3; ++axis) {
        low[axis] += at[axis] == 0 ? weights[k] : 0.0F;
        high[axis] += at[axis] == 2 ? weights[k] : 0.0F;
      }
      middle += at[0] == 1 ? weights[k] : 0.0F;
    }
    sum = low[0] + middle + high[0];
    exponent = largest + log2f(sum);
    mean = {(high[0] - low[0]) / sum, (high[1] - low[1]) / sum, (high[2] - low[2]) / sum};
  }
};

/// @param kept  1, or 0 where the place was brought back
__device__ __forceinline__ float displacement(float mean, float factor, int index, int size, bool inside, float& kept) {
  const float u = factor * mean;
  kept = 1.0F;
  if (inside) {
    const float least = static_cast<float>(-index);
    const float most = static_cast<float>(size - 1 - index);
    if (u < least || u > most) {
      kept = 0.0F;
      return u < least ? least : most;
    }
  }
  return u;
}

struct Displacement {
  Vector3 u;
  Vector3 kept;

  __device__ __forceinline__ Displacement(const Match& match, float factor, const Voxel& at, const Grid& grid) {
    u.d = displacement(match.mean.d, factor, at.z, grid.d, grid.inside, kept.d);
    u.h = displacement(match.mean.h, factor, at.y, grid.h, grid.inside, kept.h);
    u.w = displacement(match.mean.w, factor, at.x, grid.w, grid.inside, kept.w);
  }
};

__global__ void __launch_bounds__(kThreads, kBlocks)
    forward_kernel(const uint4* __restrict__ query, const uint4* __restrict__ key, const float* __restrict__ factor,
                   float* __restrict__ field, Grid grid) {
  const Voxel at(grid, 0);
  if (!at.inside) {
    return;
  }
  const long long index = at.index(grid, 0);
  const Match match(query + index * grid.groups, Neighbours(key, at, grid), grid);
  const Displacement found(match, __ldg(factor), at, grid);
  const long long voxels = grid.voxels();
  float* to = field + index + 2LL * at.volume * voxels;
  to[0] = found.u.d;
  to[voxels] = found.u.h;
  to[2 * voxels] = found.u.w;
}

/// What keys need of the queries around them.
struct Scratch {
  float4* gradient;  ///< of the mean offset, over sqrt(C), and along the mean
  float* exponent;
  double* parts;  ///< of the factor's derivative, one for each block
};

__global__ void __launch_bounds__(kThreads, query_blocks())
    query_kernel(const uint4* __restrict__ query, const uint4* __restrict__ key, const float* __restrict__ factor,
                 const float* __restrict__ to_field, uint4* __restrict__ to_query, Scratch scratch, Grid grid) {
  const Voxel at(grid, 0);
  float to_factor = 0.0F;
  if (at.inside) {
    const long long index = at.index(grid, 0);
    const Neighbours keys(key, at, grid);
    Match match(query + index * grid.groups, keys, grid);
    const float beta = __ldg(factor);
    const Displacement found(match, beta, at, grid);
    const long long voxels = grid.voxels();
    const float* from = to_field + index + 2LL * at.volume * voxels;
    Vector3 g = {found.kept.d * from[0], found.kept.h * from[voxels], found.kept.w * from[2 * voxels]};
    to_factor = dot(g, match.mean);
    g = (beta * grid.to_logit) * g;
    const float along_mean = dot(g, match.mean);
    scratch.gradient[index] = make_float4(g.d, g.h, g.w, along_mean);
    scratch.exponent[index] = match.exponent;
    const float share = 1.0F / match.sum;
#pragma unroll
    for (int k = 0; k < kNeighbours; ++k) {
      const float along = static_cast<float>(k / 9 - 1) * g.d + static_cast<float>(k / 3 % 3 - 1) * g.h +
                          static_cast<float>(k % 3 - 1) * g.w;
      match.weights[k] *= share * (along - along_mean);
    }
#pragma unroll 1
    for (int group = 0; group < grid.groups; ++group) {
      Eight sum = {};
#pragma unroll
      for (int k = 0; k < kNeighbours; ++k) {
        add_to(sum, match.weights[k], keys.at(k, group));
      }
      to_query[index * grid.groups + group] = pack(sum);
    }
  }
  const double sum = block_sum<kThreads>(static_cast<double>(to_factor));
  if (threadIdx.x == 0) {
    scratch.parts[(static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = sum;
  }
}

/// The queries that see a key: neighbour k sees it at offset k. Those beyond the volume are read where it ends, and
/// count nothing.
struct Seers {
  int d[3], h[3], w[3];  ///< offsets along each axis, in the volume

  /// @param of_voxel  elements
  __device__ __forceinline__ Seers(const Voxel& key, const Grid& grid, int of_voxel) {
    const int row = grid.w * of_voxel;
    const int plane = grid.h * row;
#pragma unroll
    for (int k = 0; k < 3; ++k) {
      d[k] = min(max(key.z - k, 0), grid.d - 1) * plane;
      h[k] = min(max(key.y - k, 0), grid.h - 1) * row;
      w[k] = min(max(key.x - k, 0), grid.w - 1) * of_voxel;
    }
  }

  __device__ __forceinline__ static bool is_voxel(int k, const Voxel& key, const Grid& grid) {
    return is_index(key.z - k / 9, grid.d) && is_index(key.y - k / 3 % 3, grid.h) && is_index(key.x - k % 3, grid.w);
  }

  __device__ __forceinline__ int at(int k) const {
    return d[k / 9] + h[k / 3 % 3] + w[k % 3];
  }
};

__global__ void __launch_bounds__(kThreads, kKeyBlocks)
    key_kernel(const uint4* __restrict__ query, const uint4* __restrict__ key, uint4* __restrict__ to_key,
               Scratch scratch, Grid grid) {
  const Voxel at(grid, 2);
  if (!at.inside) {
    return;
  }
  const long long own = at.index(grid, 2) * grid.groups;
  const long long volume = static_cast<long long>(at.volume) * grid.voxels();
  const uint4* queries = query + volume * grid.groups;
  const float4* gradients = scratch.gradient + volume;
  const float* exponents = scratch.exponent + volume;
  const Seers seers(at, grid, grid.groups);
  float weights[kNeighbours] = {};
#pragma unroll 1
  for (int group = 0; group < grid.groups; ++group) {
    const Eight mine = scaled(grid.to_exponent, unpack(__ldg(key + own + group)));
#pragma unroll
    for (int k = 0; k < kNeighbours; ++k) {
      weights[k] = dot(unpack(__ldg(queries + (seers.at(k) + group))), mine, weights[k]);
    }
  }
  const Seers voxels(at, grid, 1);
#pragma unroll
  for (int k = 0; k < kNeighbours; ++k) {
    const float4 g = __ldg(gradients + voxels.at(k));
    const float along = static_cast<float>(k / 9 - 1) * g.x + static_cast<float>(k / 3 % 3 - 1) * g.y +
                        static_cast<float>(k % 3 - 1) * g.z;
    const float weight = exp2f(weights[k] - __ldg(exponents + voxels.at(k))) * (along - g.w);
    weights[k] = Seers::is_voxel(k, at, grid) ? weight : 0.0F;
  }
#pragma unroll 1
  for (int group = 0; group < grid.groups; ++group) {
    Eight sum = {};
#pragma unroll
    for (int k = 0; k < kNeighbours; ++k) {
      add_to(sum, weights[k], unpack(__ldg(queries + (seers.at(k) + group))));
    }
    to_key[own + group] = pack(sum);
  }
}

Grid grid_of(const NeighbourhoodShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "neighbourhood attention of ", shape.channels, " channels, ",
                  shape.size.d, "x", shape.size.h, "x", shape.size.w, " voxels: no kernel");
  const double root = std::sqrt(static_cast<double>(shape.channels));
  return {static_cast<int>(shape.size.d),
          static_cast<int>(shape.size.h),
          static_cast<int>(shape.size.w),
          shape.channels / kVector,
          static_cast<float>(kLog2E / root),
          static_cast<float>(1.0 / root),
          shape.inside};
}

dim3 blocks_of(const VolumeSize& size) {
  return {static_cast<unsigned>(divide_up(size.w, kWidth)), static_cast<unsigned>(divide_up(size.h, kHeight)),
          static_cast<unsigned>(size.n * size.d)};
}

void require_inputs(const char* who, const Bf16* query, const Bf16* key, const float* factor) {
  require_features(who, query, "the queries");
  require_features(who, key, "the keys");
  REGATTA_REQUIRE(factor != nullptr, BugError, who, ": no factor");
}

}  // namespace

void neighbourhood_forward(const NeighbourhoodShape& shape, const NeighbourhoodForward& arrays, const Capability& chip,
                           Stream stream) {
  const Grid grid = grid_of(shape, chip);
  require_inputs("neighbourhood_forward", arrays.query, arrays.key, arrays.factor);
  REGATTA_REQUIRE(arrays.field != nullptr, BugError, "neighbourhood_forward: no field");
  forward_kernel<<<blocks_of(shape.size), kThreads, 0, stream>>>(vectors(arrays.query), vectors(arrays.key),
                                                                 arrays.factor, arrays.field, grid);
  check_launch("neighbourhood_forward");
}

void neighbourhood_backward(const NeighbourhoodShape& shape, const NeighbourhoodBackward& arrays,
                            const Capability& chip, Stream stream) {
  const Grid grid = grid_of(shape, chip);
  require_inputs("neighbourhood_backward", arrays.query, arrays.key, arrays.factor);
  require_features("neighbourhood_backward", arrays.to_query, "the queries' gradient");
  require_features("neighbourhood_backward", arrays.to_key, "the keys' gradient");
  require_features("neighbourhood_backward", arrays.scratch, "the scratch");
  REGATTA_REQUIRE(arrays.to_field != nullptr && arrays.to_factor != nullptr, BugError,
                  "neighbourhood_backward: no gradient of the field, or none of the factor");
  const auto all = static_cast<std::size_t>(shape.size.all());
  Scratch scratch;
  scratch.gradient = static_cast<float4*>(arrays.scratch);
  scratch.parts = reinterpret_cast<double*>(scratch.gradient + all);
  const dim3 blocks = blocks_of(shape.size);
  const long long parts = static_cast<long long>(blocks.x) * blocks.y * blocks.z;
  scratch.exponent = reinterpret_cast<float*>(scratch.parts + parts);
  query_kernel<<<blocks, kThreads, 0, stream>>>(vectors(arrays.query), vectors(arrays.key), arrays.factor,
                                                arrays.to_field, vectors(arrays.to_query), scratch, grid);
  check_launch("neighbourhood_backward queries");
  key_kernel<<<blocks_of(shape.key_size()), kThreads, 0, stream>>>(vectors(arrays.query), vectors(arrays.key),
                                                                   vectors(arrays.to_key), scratch, grid);
  check_launch("neighbourhood_backward keys");
  sum_parts(scratch.parts, parts, 1.0, arrays.to_factor, stream);
}

}  // namespace regatta::kernels
