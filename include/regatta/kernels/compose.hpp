// Composition of displacement fields, and scaling and squaring: a field composed with itself over and over. Each with
// its derivatives, which are the same in every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/diffusion.hpp"
#include "regatta/kernels/warp.hpp"

namespace regatta::kernels {

/// Fields are [n, 3, d, h, w] float32 on the device, voxels, components D, H, W; below 2^31 voxels a volume.
struct ComposeForward {
  const float* outer = nullptr;
  const float* inner = nullptr;
  VolumeSize size;
  Outside outside = Outside::kZero;  ///< what the outer field has beyond its voxels
  bool add_inner = true;             ///< false: the outer field alone, warped by the inner one
  float* field = nullptr;            ///< outer(p + inner(p)) + inner(p); not one of the inputs
};

/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// One launch. Deterministic. A displacement that is not finite makes its voxel NaN.
void compose_forward(const ComposeForward& work, Stream stream);

struct ComposeBackward {
  const float* outer = nullptr;
  const float* inner = nullptr;
  VolumeSize size;
  Outside outside = Outside::kZero;
  bool add_inner = true;
  const float* to_field = nullptr;  ///< derivative with respect to the composed field
  float* to_outer = nullptr;        ///< overwritten; nullptr: not wanted
  float* to_inner = nullptr;        ///< overwritten; nullptr: not wanted
  void* scratch = nullptr;          ///< compose_backward_scratch_bytes(size), aligned to 16; nullptr without to_outer
  std::uint32_t* overflows = nullptr;  ///< as SquaringBackward's
};

/// About 13 bytes a voxel. What it holds before does not matter.
std::size_t compose_backward_scratch_bytes(const VolumeSize& size);

/// Deterministic: the outer field's derivative is a sum of integers, exact in any order (see SquaringBackward).
/// Errors as compose_forward. Six launches and two memsets; without to_outer one launch.
void compose_backward(const ComposeBackward& work, Stream stream);

/// How the fields between two squarings are stored.
enum class FieldStore {
  kHalf,   ///< float16, 8 bytes a voxel: the result is right to 2e-4 of its size, below 65504 voxels
  kSingle  ///< float32, 16 bytes a voxel
};

/// Scaling and squaring: the displacement after unit time in a stationary velocity field.
struct SquaringForward {
  const float* velocity = nullptr;
  VolumeSize size;
  int steps = 7;      ///< squarings, 1 to 24
  bool scale = true;  ///< divide the velocity by 2^steps first
  Outside outside = Outside::kBorder;
  FieldStore store = FieldStore::kHalf;
  bool keep = true;        ///< for the backward pass
  void* fields = nullptr;  ///< squaring_field_bytes, aligned to 16: between the steps, and kept; not touched between
  float* field = nullptr;  ///< the result; not the velocity
};

/// keep: steps - 1 fields, at seven steps and kHalf 48 bytes a voxel; else two at most.
std::size_t squaring_field_bytes(const VolumeSize& size, int steps, FieldStore store, bool keep);

/// A launch per step. Errors and determinism as compose_forward.
void squaring_forward(const SquaringForward& work, Stream stream);

struct SquaringBackward {
  SquaringForward forward;          ///< as it was done, with keep
  const float* to_field = nullptr;  ///< derivative with respect to the result
  FieldGradient to_velocity;
  void* scratch = nullptr;             ///< squaring_backward_scratch_bytes, aligned to 16
  std::uint32_t* overflows = nullptr;  ///< on the device, may be nullptr: one is added per step whose sums left 32 bits
};

/// About 13 bytes a voxel for a planar result, 25 for a packed one. What it holds before does not matter.
std::size_t squaring_backward_scratch_bytes(const VolumeSize& size, bool packed);

/// The adjoint of a warp adds at eight voxels for each voxel, in an order that differs from run to run. So sums are of
/// integers: a step's unit is 2^-24 of the largest derivative that enters it, rounded up to a power of two; blocks add
/// in shared memory, in a unit of their own that follows their derivatives. Where a sum leaves 32 bits (128 times the
/// largest derivative), what it carries is noted; kernels that exit at once otherwise then give all sums of the step a
/// larger unit. Nothing is lost, so the order does not show. Deterministic; right to about 2e-5 with kSingle, 1e-3 with
/// kHalf. A derivative or a displacement that is not finite makes all of the result NaN, as do more carries than are
/// kept. Rough fields are slower: beyond differences of about 0.1 voxels between neighbours, points are added one by
/// one. Four launches per step, two more and a memset, no host reads: usable in a captured graph.
/// Errors as compose_forward.
void squaring_backward(const SquaringBackward& work, Stream stream);

/// The same in float64 on the CPU. All fields as above.
std::vector<double> compose_reference(const std::vector<double>& outer, const std::vector<double>& inner,
                                      const VolumeSize& size, Outside outside, bool add_inner);

struct ComposeGradients {
  std::vector<double> to_outer;
  std::vector<double> to_inner;
};

ComposeGradients compose_gradient_reference(const std::vector<double>& outer, const std::vector<double>& inner,
                                            const std::vector<double>& to_field, const VolumeSize& size,
                                            Outside outside, bool add_inner);

/// @param to_field     derivative with respect to the result; empty: no backward pass
/// @param to_velocity  written if there is one
/// @return the field
std::vector<double> squaring_reference(const std::vector<float>& velocity, const VolumeSize& size, int steps,
                                       bool scale, Outside outside, const std::vector<double>& to_field,
                                       std::vector<double>* to_velocity);

}  // namespace regatta::kernels
