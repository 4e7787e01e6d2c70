// Instances for compute capability 9.0 alone.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/hopper.cuh"

namespace regatta::kernels::conv {

template void launch_hopper<HopperPrelu32To32>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperPrelu16To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperPreluGradient32To32>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperPreluGradient16To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<Hopper64To32>(const ExtendedCall&, int, Stream);
template void launch_hopper<Hopper64To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<Hopper16To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<Hopper32To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<Hopper32To32>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperGradient3To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperGradient16To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperGradient16To32>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperGradient32To16>(const ExtendedCall&, int, Stream);
template void launch_hopper<HopperGradient32To32>(const ExtendedCall&, int, Stream);

}  // namespace regatta::kernels::conv
