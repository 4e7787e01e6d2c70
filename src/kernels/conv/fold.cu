// Instances: gradients of up-sampled inputs.
#include "kernels/conv/fold.cuh"
#include "kernels/conv/fold_weights.cuh"
#include "kernels/conv/forms.hpp"

namespace regatta::kernels::conv {

template void launch_fold_weights<FoldWeights32To32Low>(const WeightCall&, int, Stream);
template void launch_fold_weights<FoldWeights64To16>(const WeightCall&, int, Stream);
template void launch_fold<Fold64To32>(const ForwardCall&, int, Stream);
template void launch_fold<Fold32To32Low>(const ForwardCall&, int, Stream);
template void launch_fold<Fold32To32>(const ForwardCall&, int, Stream);
template void launch_fold_weights<FoldWeights32To32>(const WeightCall&, int, Stream);

}  // namespace regatta::kernels::conv
