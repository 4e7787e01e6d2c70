// A grid that fills the chip once walks over the arrays, four elements a thread and step. Bandwidth decides: 5 reads
// and 4 writes of 4 bytes an element with AMSGrad.
#include <algorithm>

#include "kernels/bf16.cuh"
#include "kernels/launch.cuh"
#include "regatta/kernels/adam.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;
constexpr int kWide = 4;

/// The rule in float32. The two factors that change with the step are made on the device.
struct Rule {
  float beta1, beta2;
  float rest1, rest2;  ///< 1 - beta, rounded once
  float eps;
  float weight_decay;
  double exact_beta1, exact_beta2;
};

struct Factors {
  float shrink;  ///< AdamW: what the values are multiplied by
  float rate;    ///< over the first bias correction
  float root2;   ///< 1 / square root of the second one
  bool skip;
};

struct Element {
  float value, gradient, m, v, vmax;
};

template <bool kAmsgrad, bool kDecoupled>
__device__ __forceinline__ void update(Element& e, const Rule& rule, const Factors& now) {
  float gradient = e.gradient;
  if constexpr (kDecoupled) {
    e.value *= now.shrink;
  } else {
    gradient = fmaf(rule.weight_decay, e.value, gradient);
  }
  e.m = fmaf(rule.beta1, e.m, rule.rest1 * gradient);
  e.v = fmaf(rule.beta2, e.v, rule.rest2 * gradient * gradient);
  float second = e.v;
  if constexpr (kAmsgrad) {
    e.vmax = fmaxf(e.vmax, e.v);
    second = e.vmax;
  }
  e.value -= now.rate * e.m / fmaf(sqrtf(second), now.root2, rule.eps);
}

__device__ __forceinline__ float& part(float4& four, int k) {
  return (&four.x)[k];
}

template <bool kAmsgrad, bool kDecoupled, bool kVector>
__global__ void __launch_bounds__(kThreads)
    adam_kernel(AdamArrays a, Rule rule, const AdamStep* __restrict__ step, const float* __restrict__ skip) {
  __shared__ Factors shared;
  if (threadIdx.x == 0) {
    const double rate = step->rate;
    shared.shrink = static_cast<float>(1.0 - rate * rule.weight_decay);
    shared.rate = static_cast<float>(rate / (1.0 - pow(rule.exact_beta1, step->update)));
    shared.root2 = static_cast<float>(1.0 / sqrt(1.0 - pow(rule.exact_beta2, step->update)));
    shared.skip = skip != nullptr && *skip != 0.0F;
  }
  __syncthreads();
  const Factors now = shared;
  const long long stride = static_cast<long long>(gridDim.x) * kThreads;
  const long long first = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
  long long done = 0;
  if constexpr (kVector) {
    const long long fours = a.count / kWide;
    done = fours * kWide;
    for (long long i = first; i < fours; i += stride) {
      float4 value = reinterpret_cast<float4*>(a.value)[i];
      if (!now.skip) {
        float4 gradient = __ldcs(reinterpret_cast<const float4*>(a.gradient) + i);
        float4 m = reinterpret_cast<float4*>(a.m)[i];
        float4 v = reinterpret_cast<float4*>(a.v)[i];
        float4 vmax = kAmsgrad ? reinterpret_cast<float4*>(a.vmax)[i] : make_float4(0.0F, 0.0F, 0.0F, 0.0F);
#pragma unroll
        for (int k = 0; k < kWide; ++k) {
          Element e = {part(value, k), part(gradient, k), part(m, k), part(v, k), part(vmax, k)};
          update<kAmsgrad, kDecoupled>(e, rule, now);
          part(value, k) = e.value;
          part(m, k) = e.m;
          part(v, k) = e.v;
          part(vmax, k) = e.vmax;
        }
        reinterpret_cast<float4*>(a.value)[i] = value;
        reinterpret_cast<float4*>(a.m)[i] = m;
        reinterpret_cast<float4*>(a.v)[i] = v;
        if constexpr (kAmsgrad) {
          reinterpret_cast<float4*>(a.vmax)[i] = vmax;
        }
      }
      if (a.shadow != nullptr) {
        reinterpret_cast<uint2*>(a.shadow)[i] = make_uint2(pack_bf16(value.x, value.y), pack_bf16(value.z, value.w));
      }
    }
  }
  for (long long i = done + first; i < a.count; i += stride) {
    if (!now.skip) {
      Element e = {a.value[i], a.gradient[i], a.m[i], a.v[i], kAmsgrad ? a.vmax[i] : 0.0F};
      update<kAmsgrad, kDecoupled>(e, rule, now);
      a.value[i] = e.value;
      a.m[i] = e.m;
      a.v[i] = e.v;
      if constexpr (kAmsgrad) {
        a.vmax[i] = e.vmax;
      }
    }
    if (a.shadow != nullptr) {
      a.shadow[i] = round_bf16(a.value[i]);
    }
  }
}

template <bool kAmsgrad, bool kDecoupled>
void launch(const AdamArrays& arrays, const Rule& rule, const AdamStep* step, const float* skip, bool vector,
            unsigned blocks, Stream stream) {
  if (vector) {
    adam_kernel<kAmsgrad, kDecoupled, true><<<blocks, kThreads, 0, stream>>>(arrays, rule, step, skip);
  } else {
    adam_kernel<kAmsgrad, kDecoupled, false><<<blocks, kThreads, 0, stream>>>(arrays, rule, step, skip);
  }
  check_launch("adam");
}

}  // namespace

void adam(const AdamArrays& arrays, const AdamRule& rule, const AdamStep* step, const float* skip,
          const Capability& chip, Stream stream) {
  REGATTA_REQUIRE(arrays.count >= 0, BugError, "adam: count ", arrays.count);
  if (arrays.count == 0) {
    return;
  }
  REGATTA_REQUIRE(arrays.value != nullptr && arrays.gradient != nullptr && arrays.m != nullptr && arrays.v != nullptr &&
                      step != nullptr,
                  BugError, "adam: an array is missing");
  const Rule single = {static_cast<float>(rule.beta1),
                       static_cast<float>(rule.beta2),
                       static_cast<float>(1.0 - rule.beta1),
                       static_cast<float>(1.0 - rule.beta2),
                       static_cast<float>(rule.eps),
                       static_cast<float>(rule.weight_decay),
                       rule.beta1,
                       rule.beta2};
  const bool vector = is_aligned(arrays.value, 16) && is_aligned(arrays.gradient, 16) && is_aligned(arrays.m, 16) &&
                      is_aligned(arrays.v, 16) && is_aligned(arrays.vmax, 16) && is_aligned(arrays.shadow, 8);
  const long long most = static_cast<long long>(chip.multiprocessors) * kBlocksPerMultiprocessor;
  const unsigned blocks = static_cast<unsigned>(
      std::clamp<long long>(divide_up(arrays.count, kThreads * (vector ? kWide : 1)), 1, std::max(most, 1LL)));
  const bool decoupled = rule.decoupled && rule.weight_decay != 0.0;
  if (arrays.vmax != nullptr) {
    decoupled ? launch<true, true>(arrays, single, step, skip, vector, blocks, stream)
              : launch<true, false>(arrays, single, step, skip, vector, blocks, stream);
  } else {
    decoupled ? launch<false, true>(arrays, single, step, skip, vector, blocks, stream)
              : launch<false, false>(arrays, single, step, skip, vector, blocks, stream);
  }
}

}  // namespace regatta::kernels
