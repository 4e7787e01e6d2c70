// Instances: weight gradients of 5x5x5.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/weight_gradient.cuh"

namespace regatta::kernels::conv {

template void launch_weights<LargeWeights8To8>(const WeightCall&, int, Stream);
template void launch_weights<LargeWeights16To16>(const WeightCall&, int, Stream);
template void launch_weights<LargeWeights16To8>(const WeightCall&, int, Stream);
template void launch_weights<LargeWeights32To8>(const WeightCall&, int, Stream);

}  // namespace regatta::kernels::conv
