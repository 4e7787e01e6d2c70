// Instances: data gradients.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/march.cuh"

namespace regatta::kernels::conv {

template void launch_march<Gradient3To8>(const ExtendedCall&, int, Stream);
template void launch_march<Gradient8To8>(const ExtendedCall&, int, Stream);
template void launch_march<Gradient8To32>(const ExtendedCall&, int, Stream);
template void launch_march<Gradient32To8>(const ExtendedCall&, int, Stream);
template void launch_march<Gradient3To16>(const ExtendedCall&, int, Stream);
template void launch_march<Gradient16To32>(const ExtendedCall&, int, Stream);
template void launch_march<Gradient16To16>(const ExtendedCall&, int, Stream);
template void launch_march<Gradient32To16>(const ExtendedCall&, int, Stream);

}  // namespace regatta::kernels::conv
