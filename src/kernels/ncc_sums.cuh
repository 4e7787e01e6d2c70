// NCC, forward pass: reading both images, exact sums over windows, and what follows from them.
#pragma once

#include <type_traits>

#include "kernels/ncc.cuh"

namespace regatta::kernels {

constexpr unsigned kLowBits = 25;
constexpr unsigned kLowMask = (1U << kLowBits) - 1U;

/// Two neighbouring voxels of both images.
struct NccVoxels {
  unsigned fixed[2];
  unsigned warped[2];
};

template <FixedImage kType>
struct NccInput {
  const void* fixed;
  const std::uint32_t* warped;
};

__device__ __forceinline__ void read_two(const unsigned char* from, unsigned (&out)[2]) {
  const uchar2 two = __ldg(reinterpret_cast<const uchar2*>(from));
  out[0] = two.x;
  out[1] = two.y;
}

__device__ __forceinline__ void read_two(const unsigned* from, unsigned (&out)[2]) {
  const uint2 two = __ldg(reinterpret_cast<const uint2*>(from));
  out[0] = two.x;
  out[1] = two.y;
}

template <bool kVector, class T>
__device__ __forceinline__ void load_two(const T* from, bool first, bool second, unsigned (&out)[2]) {
  if constexpr (kVector) {
    if (first) {
      read_two(from, out);
    }
  } else {
    if (first) {
      out[0] = __ldg(from);
    }
    if (second) {
      out[1] = __ldg(from + 1);
    }
  }
}

/// 0 where the image has no voxel. @param first, second  whether it has the one at `at` and the next
template <FixedImage kType, bool kVector>
__device__ __forceinline__ NccVoxels load_voxels(const NccInput<kType>& in, long long at, bool first, bool second) {
  using Fixed = std::conditional_t<kType == FixedImage::kBytes, unsigned char, unsigned>;
  NccVoxels out = {{0, 0}, {0, 0}};
  load_two<kVector>(static_cast<const Fixed*>(in.fixed) + at, first, second, out.fixed);
  load_two<kVector>(in.warped + at, first, second, out.warped);
  return out;
}

using Wide = unsigned long long;

/// Sums over a column of 2 radius + 1 voxels.
template <FixedImage kType>
struct NccSums {
  static constexpr bool kBytes = kType == FixedImage::kBytes;
  using Squares = std::conditional_t<kBytes, unsigned, Wide>;

  unsigned fixed = 0;
  unsigned warped = 0;
  Squares fixed_squares = 0;
  Wide warped_squares = 0;
  Wide products = 0;

  __device__ __forceinline__ void add(unsigned i, unsigned j) {
    fixed += i;
    warped += j;
    fixed_squares += static_cast<Squares>(i) * i;
    warped_squares += static_cast<Wide>(j) * j;
    products += static_cast<Wide>(i) * j;
  }

  __device__ __forceinline__ void remove(unsigned i, unsigned j) {
    fixed -= i;
    warped -= j;
    fixed_squares -= static_cast<Squares>(i) * i;
    warped_squares -= static_cast<Wide>(j) * j;
    products -= static_cast<Wide>(i) * j;
  }
};

/// Sums over whole windows.
struct NccTotals {
  unsigned fixed;
  unsigned warped;
  Wide fixed_squares;
  Wide warped_squares;
  Wide products;
};

__device__ __forceinline__ unsigned low_part(Wide value) {
  return static_cast<unsigned>(value) & kLowMask;
}

__device__ __forceinline__ unsigned high_part(Wide value) {
  return static_cast<unsigned>(value >> kLowBits);
}

__device__ __forceinline__ Wide joined(unsigned high, unsigned low) {
  return (static_cast<Wide>(high) << kLowBits) + low;
}

/// Column sums as words that can be added up over x and y without overflow. Six words hold up to 9^3 voxels of bytes:
/// the sum of the fixed image has 18 bits, and above it lies the high part of the products, 14 bits. Limits, for n
/// voxels of 21 bits: warped n 2^21, low parts (2 radius + 1)^2 2^25, high parts of squares n 2^17.
template <FixedImage kType, int kWords>
struct NccPacking {
  static constexpr unsigned kFixedBits = 18;

  static __device__ __forceinline__ unsigned word(const NccSums<kType>& s, int which) {
    if constexpr (kWords == 6) {
      switch (which) {
        case 0: return s.fixed | (high_part(s.products) << kFixedBits);
        case 1: return s.warped;
        case 2: return s.fixed_squares;
        case 3: return low_part(s.warped_squares);
        case 4: return high_part(s.warped_squares);
        default: return low_part(s.products);
      }
    } else {
      switch (which) {
        case 0: return s.fixed;
        case 1: return s.warped;
        case 2: return kWords == 7 ? static_cast<unsigned>(s.fixed_squares) : low_part(s.fixed_squares);
        case 3: return low_part(s.warped_squares);
        case 4: return high_part(s.warped_squares);
        case 5: return low_part(s.products);
        case 6: return high_part(s.products);
        default: return high_part(s.fixed_squares);
      }
    }
  }

  static __device__ __forceinline__ NccTotals totals(const unsigned (&t)[kWords]) {
    if constexpr (kWords == 6) {
      return {t[0] & ((1U << kFixedBits) - 1U), t[1], t[2], joined(t[4], t[3]), joined(t[0] >> kFixedBits, t[5])};
    } else if constexpr (kWords == 7) {
      return {t[0], t[1], t[2], joined(t[4], t[3]), joined(t[6], t[5])};
    } else {
      return {t[0], t[1], joined(t[7], t[2]), joined(t[4], t[3]), joined(t[6], t[5])};
    }
  }
};

/// One window: its squared correlation, and the coefficients a, b, c with which the derivative at a voxel of it is
/// a fixed + b warped + c.
struct NccWindow {
  float squared, a, b, c;
};

template <int kCount>
__device__ __forceinline__ NccWindow ncc_window(const NccTotals& t, float fixed_unit, NccForm form) {
  constexpr float kWarpedUnit = 1.0F / static_cast<float>(kFixedPointOne);
  constexpr float kShare = 1.0F / static_cast<float>(kCount);
  constexpr Wide kVoxels = kCount;
  const Wide i = t.fixed;
  const Wide j = t.warped;
  const float scale = kWarpedUnit * kShare;
  constexpr auto kFloor = static_cast<float>(kNccFloor);
  auto fixed_variance = static_cast<float>(static_cast<long long>(t.fixed_squares * kVoxels - i * i)) *
                        (fixed_unit * fixed_unit * kShare);
  auto warped_variance =
      static_cast<float>(static_cast<long long>(t.warped_squares * kVoxels - j * j)) * (kWarpedUnit * scale);
  auto cross = static_cast<float>(static_cast<long long>(t.products * kVoxels - i * j)) * (fixed_unit * scale);
  float below = fmaf(fixed_variance, warped_variance, kFloor);
  float to_cross = 2.0F;
  float to_variance = -2.0F;
  if (form == NccForm::kMeans) {
    constexpr auto kLeast = static_cast<float>(kNccEpsilon * kCount * kCount);
    below = fixed_variance * warped_variance;
    to_variance = below >= kLeast ? to_variance : 0.0F;
    below = fmaxf(below, kLeast);
  } else if (form == NccForm::kClamped) {
    to_cross = cross >= kFloor ? to_cross : 0.0F;
    to_variance = warped_variance >= kFloor ? to_variance : 0.0F;
    cross = fmaxf(cross, kFloor);
    fixed_variance = fmaxf(fixed_variance, kFloor);
    warped_variance = fmaxf(warped_variance, kFloor);
    below = fixed_variance * warped_variance;
  }
  const float inverse = __frcp_rn(below);
  NccWindow out;
  out.squared = cross * cross * inverse;
  out.a = to_cross * cross * inverse;
  out.b = to_variance * out.squared * fixed_variance * inverse;
  out.c =
      -(out.a * (static_cast<float>(t.fixed) * (fixed_unit * kShare)) + out.b * (static_cast<float>(t.warped) * scale));
  return out;
}

}  // namespace regatta::kernels
