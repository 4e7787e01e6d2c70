// Instances: forward from before the up-sampling.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/up_forward.cuh"

namespace regatta::kernels::conv {

template void launch_up<Up64And2To16>(const ForwardCall&, int, Stream);
template void launch_up<Up32And2To16>(const ForwardCall&, int, Stream);
template void launch_up<Up32And2To16Tall>(const ForwardCall&, int, Stream);

}  // namespace regatta::kernels::conv
