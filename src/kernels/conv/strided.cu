// Instances: data gradients of stride 2.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/strided_gradient.cuh"

namespace regatta::kernels::conv {

template void launch_strided_gradient<StridedGradient64To32>(const ExtendedCall&, int, Stream);
template void launch_strided_gradient<StridedGradient32To16>(const ExtendedCall&, int, Stream);
template void launch_strided_gradient<StridedGradient16To8>(const ExtendedCall&, int, Stream);

}  // namespace regatta::kernels::conv
