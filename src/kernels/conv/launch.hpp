// Launches by number in the table of forms. Built with CUDA kernels (launch_cuda.cpp) and without (launch_absent.cpp).
#pragma once

#include "kernels/conv/calls.hpp"
#include "kernels/conv/packing.hpp"
#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels::conv {

enum class Family {
  kMarch,
  kHopper,
  kUp,
  kFold,
  kThin,
  kWeights,
  kFoldWeights,
  kThinWeights,
  kStridedGradient,
  kStridedWeights,
  kHopperWeights
};

/// One of the families of forward calls.
void launch_form(Family family, int form, const ExtendedCall& call, int multiprocessors, Stream stream);

/// One of the families of weight gradients.
void launch_form(Family family, int form, const WeightCall& call, int multiprocessors, Stream stream);

void launch_pack(const PackBatch& batch, int jobs, Stream stream);
void launch_reduce(const ReduceCall& call, Stream stream);

/// *sum = the sum of `count` values, in a fixed order.
void launch_sum(const float* partial, int count, float* sum, Stream stream);

/// `size`: of the gradient.
void launch_child_sums(const void* gradient, void* sums, const VolumeSize& size, int channels, Stream stream);

}  // namespace regatta::kernels::conv
