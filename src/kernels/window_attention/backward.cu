#include "kernels/window_attention/backward.cuh"

namespace regatta::kernels::attention {

template void launch_backward<12>(const Call&, Stream);
template void launch_backward<24>(const Call&, Stream);
template void launch_backward<32>(const Call&, Stream);
template void launch_backward<48>(const Call&, Stream);
template void launch_backward<64>(const Call&, Stream);
template void launch_backward<96>(const Call&, Stream);

}  // namespace regatta::kernels::attention
