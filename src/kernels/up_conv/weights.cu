// Gradient of the weights and the bias of the transposed convolutions, by mma.sync: dW[piece] = X^T dY[piece], input
// channels x values of a piece x voxels. A warp of a block has one piece. The blocks' sums are added in a fixed order.
#include <cuda_runtime.h>

#include "kernels/bf16.cuh"
#include "kernels/conv/ptx.cuh"
#include "kernels/launch.cuh"
#include "kernels/up_conv/form.hpp"

namespace regatta::kernels::up_conv {
namespace {

constexpr int kAcross = 32;
constexpr int kSharers = 8;

/// Queues the copies of stage `index`: kVoxels voxels of the input and what lies above them; zeros beyond the last.
template <class F>
__device__ __forceinline__ void load_stage(const WeightCall& call, std::uint32_t index, std::uint32_t stage) {
  constexpr int kInputChunks = F::kChannels / 8;
  constexpr int kPieceChunks = F::kPiece / 8;
  constexpr int kInputCopies = F::kVoxels * kInputChunks;
  const auto* input = static_cast<const std::uint8_t*>(call.input);
  const auto* gradient = static_cast<const std::uint8_t*>(call.gradient);
  for (int i = static_cast<int>(threadIdx.x); i < kInputCopies; i += F::kWeightThreads) {
    const int local = i / kInputChunks;
    const std::uint32_t voxel = index * F::kVoxels + local;
    const bool real = voxel < call.voxels;
    const long long at = real ? static_cast<long long>(voxel) * kInputChunks + i % kInputChunks : 0;
    conv::copy_async<16>(stage + F::Input::offset(local, i % kInputChunks), input + at * 16, real ? 16 : 0);
  }
  for (int i = static_cast<int>(threadIdx.x); i < F::kVoxels * kPieceChunks; i += F::kWeightThreads) {
    const int local = i / kPieceChunks;
    const int chunk = i % kPieceChunks;
    const std::uint32_t voxel = index * F::kVoxels + local;
    const bool real = voxel < call.voxels;
    const std::uint32_t row = voxel / call.W;
    const std::uint32_t plane = row / call.H;
    // in pairs of voxels along x, which are a piece's length
    const long long first =
        (static_cast<long long>(plane) * 4 * call.H + 2 * (row - plane * call.H)) * call.W + (voxel - row * call.W);
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      const long long pair = first + ((piece >> 1) * 2 * static_cast<long long>(call.H) + (piece & 1)) * call.W;
      const long long at = real ? pair * kPieceChunks + chunk : 0;
      conv::copy_async<16>(stage + F::Input::kBytes + piece * F::Piece::kBytes + F::Piece::offset(local, chunk),
                           gradient + at * 16, real ? 16 : 0);
    }
  }
}

template <class F>
__global__ void __launch_bounds__(F::kWeightThreads, F::kWeightBlocks) weight_gradient(const WeightCall call) {
  extern __shared__ __align__(1024) std::uint8_t shared_bytes[];
  const std::uint32_t shared = conv::shared_address(shared_bytes);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int piece = static_cast<int>(threadIdx.x) >> 5;
  const int matrix = lane >> 3;
  const int within = lane & 7;
  constexpr int kColumns = F::kPiece / 8;
  struct {
    float weights[F::kSixteens][kColumns][4];
    float bias[kColumns][4];
  } sums = {};
  const std::uint32_t ones[4] = {0x3f803f80U, 0x3f803f80U, 0x3f803f80U, 0x3f803f80U};
  const std::uint32_t stages = (call.voxels + F::kVoxels - 1) / F::kVoxels;
  std::uint32_t queued = blockIdx.x;
  std::uint32_t queued_at = 0;
  const auto load = [&] {
    if (queued < stages) {
      load_stage<F>(call, queued, shared + queued_at);
    }
    conv::commit_copies();
    queued += gridDim.x;
    queued_at = queued_at == (F::kStages - 1) * F::kStageBytes ? 0 : queued_at + F::kStageBytes;
  };
  for (int i = 0; i < F::kStages - 1; ++i) {
    load();
  }
  std::uint32_t at = 0;
  for (std::uint32_t index = blockIdx.x; index < stages; index += gridDim.x) {
    conv::wait_copies<F::kStages - 2>();
    __syncthreads();
    load();
#pragma unroll
    for (int step = 0; step < F::kVoxels / 16; ++step) {
      std::uint32_t a[F::kSixteens][4];
#pragma unroll
      for (int sixteen = 0; sixteen < F::kSixteens; ++sixteen) {
        const int voxel = step * 16 + (matrix >> 1) * 8 + within;
        conv::load_matrices_transposed(a[sixteen], shared + at + F::Input::offset(voxel, sixteen * 2 + (matrix & 1)));
      }
#pragma unroll
      for (int pair = 0; pair < kColumns / 2; ++pair) {
        std::uint32_t b[4];
        const int voxel = step * 16 + (matrix & 1) * 8 + within;
        conv::load_matrices_transposed(b, shared + at + F::Input::kBytes + piece * F::Piece::kBytes +
                                              F::Piece::offset(voxel, pair * 2 + (matrix >> 1)));
#pragma unroll
        for (int n = 0; n < 2; ++n) {
#pragma unroll
          for (int sixteen = 0; sixteen < F::kSixteens; ++sixteen) {
            conv::mma_k16(sums.weights[sixteen][pair * 2 + n], a[sixteen], b[2 * n], b[2 * n + 1]);
          }
          conv::mma_k16(sums.bias[pair * 2 + n], ones, b[2 * n], b[2 * n + 1]);
        }
      }
    }
    at = at == (F::kStages - 1) * F::kStageBytes ? 0 : at + F::kStageBytes;
  }
  conv::wait_copies<0>();
  const int group = lane >> 2;
  const int quad = lane & 3;
  float* to = call.partial + static_cast<std::size_t>(blockIdx.x) * F::kValues +
              piece * (F::kChannels + 1) * F::kPiece + 2 * quad;
#pragma unroll
  for (int column = 0; column < kColumns; ++column) {
#pragma unroll
    for (int sixteen = 0; sixteen < F::kSixteens; ++sixteen) {
      const float(&four)[4] = sums.weights[sixteen][column];
      float* row = to + (sixteen * 16 + group) * F::kPiece + column * 8;
      *reinterpret_cast<float2*>(row) = make_float2(four[0], four[1]);
      *reinterpret_cast<float2*>(row + 8 * F::kPiece) = make_float2(four[2], four[3]);
    }
    if (group == 0) {
      *reinterpret_cast<float2*>(to + F::kChannels * F::kPiece + column * 8) =
          make_float2(sums.bias[column][0], sums.bias[column][1]);
    }
  }
}

/// Sums [input channel][output channel][8] in the weights' own order; as channel C of the input, the bias, of which
/// eight neighbouring threads have a share each.
template <class F>
__global__ void __launch_bounds__(kAcross* kSharers) reduce(const WeightCall call) {
  __shared__ float parts[kSharers][kAcross + 1];
  constexpr int C = F::kChannels;
  const int index = static_cast<int>(blockIdx.x) * kAcross + static_cast<int>(threadIdx.x);  // all exist: 8 C (C + 1)
  const int sharer = static_cast<int>(threadIdx.y);
  const int child = index % 8;
  const int out = index / 8 % C;
  const int in = index / 8 / C;
  const float* at = call.partial + (child / 2 * (C + 1) + in) * F::kPiece + child % 2 * C + out;
  const int end = call.blocks * (sharer + 1) / kSharers;
  float sum = 0.0F;
#pragma unroll 8
  for (int block = call.blocks * sharer / kSharers; block < end; ++block) {
    sum += at[static_cast<std::size_t>(block) * F::kValues];
  }
  parts[sharer][threadIdx.x] = sum;
  __syncthreads();
  if (sharer != 0) {
    return;
  }
  sum = 0.0F;
  for (const auto& part : parts) {
    sum += part[threadIdx.x];
  }
  if (in < C) {
    call.weights[index] = sum;
  } else if (call.bias != nullptr) {
#pragma unroll
    for (int step = 4; step > 0; step /= 2) {
      sum += __shfl_xor_sync(0xffffffffU, sum, step);
    }
    if (child == 0) {
      call.bias[out] = sum;
    }
  }
}

template <class F>
void launch(const WeightCall& call, Stream stream) {
  REGATTA_CUDA(cudaFuncSetAttribute(weight_gradient<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kWeightShared));
  weight_gradient<F><<<call.blocks, F::kWeightThreads, F::kWeightShared, stream>>>(call);
  check_launch("up_conv weight_gradient");
  static_assert(8 * F::kChannels % kAcross == 0);
  reduce<F><<<8 * F::kChannels*(F::kChannels + 1) / kAcross, dim3(kAcross, kSharers), 0, stream>>>(call);
  check_launch("up_conv reduce");
}

}  // namespace

void launch_weight_gradient(int channels, const WeightCall& call, Stream stream) {
  if (channels == 16) {
    launch<Form<16>>(call, stream);
  } else {
    launch<Form<32>>(call, stream);
  }
}

}  // namespace regatta::kernels::up_conv
