#include "kernels/window_attention/forward.cuh"

namespace regatta::kernels::attention {

template void launch_forward<12>(const Call&, Stream);
template void launch_forward<24>(const Call&, Stream);
template void launch_forward<32>(const Call&, Stream);
template void launch_forward<48>(const Call&, Stream);
template void launch_forward<64>(const Call&, Stream);
template void launch_forward<96>(const Call&, Stream);

}  // namespace regatta::kernels::attention
