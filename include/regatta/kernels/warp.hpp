// An image sampled at p + flow(p), trilinear, and the derivative with respect to the field; each alone or together with
// the field's smoothness loss, which reads the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/diffusion.hpp"
#include "regatta/kernels/fixed_point.hpp"

namespace regatta::kernels {

enum class SourceType {
  kBytes,   ///< uint8 [n, 1, d, h, w], value / 255
  kFloats,  ///< float32 [n, 1, d, h, w]
  kQuads    ///< what pack_quads made of bytes: two loads a sample instead of eight
};

/// Outside the centres of the outer voxels the image falls to 0 within a voxel, or its border values continue.
enum class Outside { kZero, kBorder };

struct WarpSource {
  const void* data = nullptr;  ///< on the device; no gradient to it
  SourceType type = SourceType::kBytes;
  Outside outside = Outside::kZero;  ///< kBorder: bytes and floats, without penalty
};

/// Elements of the packed form: uint32 [n, d, h + 1, w + 1].
std::size_t quad_count(const VolumeSize& size);

/// Four bytes (h, w), (h, w + 1), (h + 1, w), (h + 1, w + 1) a word, h and w from -1, 0 outside. Pays where an image is
/// warped more than twice.
void pack_quads(const std::uint8_t* image, const VolumeSize& size, std::uint32_t* quads, Stream stream);

struct WarpForward {
  WarpSource source;
  const float* flow = nullptr;  ///< [n, 3, d, h, w] float32, voxels, components D, H, W
  VolumeSize size;              ///< below 2^31 voxels a volume; with a penalty each axis at least 2
  float* warped = nullptr;      ///< [n, 1, d, h, w]; this one or the next
  std::uint32_t* fixed_point = nullptr;
  Penalty penalty = Penalty::kNone;
  double weight = 1.0;      ///< of the penalty
  float* loss = nullptr;    ///< weight x penalty, one float on the device
  void* scratch = nullptr;  ///< diffusion_scratch_bytes(size)
};

/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// One launch; with a penalty two. Deterministic. A displacement that is not finite makes its voxel NaN, or
/// kFixedPointInvalid; so does, in fixed point, an intensity outside [0, 1].
void warp_forward(const WarpForward& work, Stream stream);

struct WarpBackward {
  WarpSource source;
  const float* flow = nullptr;
  VolumeSize size;
  const float* to_warped = nullptr;  ///< [n, 1, d, h, w] float32, derivative with respect to the warped image
  FieldGradient to_flow;             ///< the image's part plus the penalty's
  Penalty penalty = Penalty::kNone;
  double weight = 1.0;
  const float* upstream = nullptr;  ///< derivative with respect to the penalty's loss, on the device; nullptr: 1
};

/// One launch, no scratch. Deterministic. Errors as warp_forward.
void warp_backward(const WarpBackward& work, Stream stream);

/// The same in float64 on the CPU.
struct WarpReference {
  std::vector<double> warped;    ///< [n, 1, d, h, w]
  std::vector<double> gradient;  ///< [n, 3, d, h, w], of the warped image at each voxel, per component of its flow
};

WarpReference warp_reference(const std::vector<double>& source, const std::vector<float>& flow, const VolumeSize& size,
                             Outside outside);

}  // namespace regatta::kernels
