// Instances: 5x5x5, forward and data gradients.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/march.cuh"

namespace regatta::kernels::conv {

template void launch_march<Large8To8>(const ExtendedCall&, int, Stream);
template void launch_march<Large16To16>(const ExtendedCall&, int, Stream);
template void launch_march<Large16To3>(const ExtendedCall&, int, Stream);
template void launch_march<Large32To8>(const ExtendedCall&, int, Stream);
template void launch_march<LargeGradient8To8>(const ExtendedCall&, int, Stream);
template void launch_march<LargeGradient16To16>(const ExtendedCall&, int, Stream);
template void launch_march<LargeGradient32To8>(const ExtendedCall&, int, Stream);

}  // namespace regatta::kernels::conv
