// Instances: 3x3x3 after or before a PReLU, and the head of many channels.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/march.cuh"

namespace regatta::kernels::conv {

template void launch_march<Forward64To3>(const ExtendedCall&, int, Stream);
template void launch_march<Prelu2To32>(const ExtendedCall&, int, Stream);
template void launch_march<Prelu2To8>(const ExtendedCall&, int, Stream);
template void launch_march<Prelu8To8>(const ExtendedCall&, int, Stream);
template void launch_march<Prelu16To16>(const ExtendedCall&, int, Stream);
template void launch_march<Prelu32To16>(const ExtendedCall&, int, Stream);
template void launch_march<Prelu16And8To16>(const ExtendedCall&, int, Stream);
template void launch_march<Prelu16And16To32>(const ExtendedCall&, int, Stream);
template void launch_march<PreluGradient3To16>(const ExtendedCall&, int, Stream);
template void launch_march<PreluGradient8To8>(const ExtendedCall&, int, Stream);
template void launch_march<PreluGradient16To32>(const ExtendedCall&, int, Stream);
template void launch_march<PreluGradient16To16>(const ExtendedCall&, int, Stream);
template void launch_march<PreluGradient16To8>(const ExtendedCall&, int, Stream);
template void launch_march<PreluGradient32To16>(const ExtendedCall&, int, Stream);

}  // namespace regatta::kernels::conv
