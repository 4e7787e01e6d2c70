// Instances: weight gradients of stride 2.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/strided_weights.cuh"

namespace regatta::kernels::conv {

template void launch_strided_weights<StridedWeights32To32>(const WeightCall&, int, Stream);

}  // namespace regatta::kernels::conv
