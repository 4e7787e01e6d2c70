// Instances: forward.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/march.cuh"

namespace regatta::kernels::conv {

template void launch_march<Forward64To16>(const ExtendedCall&, int, Stream);
template void launch_march<Forward32To32>(const ExtendedCall&, int, Stream);
template void launch_march<Forward32To3>(const ExtendedCall&, int, Stream);
template void launch_march<Forward32UpAnd8>(const ExtendedCall&, int, Stream);
template void launch_march<Forward32To8>(const ExtendedCall&, int, Stream);
template void launch_march<Forward8To8>(const ExtendedCall&, int, Stream);
template void launch_march<Forward8To3>(const ExtendedCall&, int, Stream);
template void launch_march<Forward32UpAnd16Low>(const ExtendedCall&, int, Stream);
template void launch_march<Forward32UpAnd16>(const ExtendedCall&, int, Stream);
template void launch_march<Forward32To16>(const ExtendedCall&, int, Stream);
template void launch_march<Forward16To16>(const ExtendedCall&, int, Stream);
template void launch_march<Forward16To8>(const ExtendedCall&, int, Stream);
template void launch_march<Forward16And16To16>(const ExtendedCall&, int, Stream);
template void launch_march<Forward16To3>(const ExtendedCall&, int, Stream);
template void launch_march<Forward2To16>(const ExtendedCall&, int, Stream);

}  // namespace regatta::kernels::conv
