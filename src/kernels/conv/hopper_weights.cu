// Instances for compute capability 9.0 alone: weight gradients.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/hopper_weights.cuh"

namespace regatta::kernels::conv {

template void launch_hopper_weights<HopperWeights64>(const WeightCall&, int, Stream);
template void launch_hopper_weights<LargeHopperWeights64>(const WeightCall&, int, Stream);

}  // namespace regatta::kernels::conv
