// Instances: weight gradients.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/weight_gradient.cuh"

namespace regatta::kernels::conv {

template void launch_weights<Weights64To16>(const WeightCall&, int, Stream);
template void launch_weights<Weights64To3>(const WeightCall&, int, Stream);
template void launch_weights<Weights32To32>(const WeightCall&, int, Stream);
template void launch_weights<Weights32To3>(const WeightCall&, int, Stream);
template void launch_weights<Weights32To8>(const WeightCall&, int, Stream);
template void launch_weights<Weights8To32>(const WeightCall&, int, Stream);
template void launch_weights<Weights8To16>(const WeightCall&, int, Stream);
template void launch_weights<Weights8To8>(const WeightCall&, int, Stream);
template void launch_weights<Weights8To3>(const WeightCall&, int, Stream);
template void launch_weights<Weights16To3>(const WeightCall&, int, Stream);
template void launch_weights<Weights16To32>(const WeightCall&, int, Stream);
template void launch_weights<Weights16To16>(const WeightCall&, int, Stream);
template void launch_weights<Weights16To8>(const WeightCall&, int, Stream);
template void launch_weights<Weights32To16>(const WeightCall&, int, Stream);

}  // namespace regatta::kernels::conv
