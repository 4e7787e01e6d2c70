// Instances: what reads the raw images alone.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/thin_forward.cuh"
#include "kernels/conv/thin_weights.cuh"

namespace regatta::kernels::conv {

template void launch_thin_weights<ThinWeights32Low>(const WeightCall&, int, Stream);
template void launch_thin_weights<ThinWeights32Stride2>(const WeightCall&, int, Stream);
template void launch_thin_forward<Thin2To8>(const ForwardCall&, int, Stream);
template void launch_thin_weights<ThinWeights8Stride2>(const WeightCall&, int, Stream);
template void launch_thin_forward<Thin2To16>(const ForwardCall&, int, Stream);
template void launch_thin_weights<ThinWeights16Stride2>(const WeightCall&, int, Stream);
template void launch_thin_weights<ThinWeights16>(const WeightCall&, int, Stream);
template void launch_thin_weights<ThinWeights8>(const WeightCall&, int, Stream);
template void launch_thin_weights<ThinWeights32>(const WeightCall&, int, Stream);

}  // namespace regatta::kernels::conv
