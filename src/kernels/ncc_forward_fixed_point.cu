#include "kernels/ncc_forward.cuh"

namespace regatta::kernels {

void ncc_forward_fixed_point(const NccPair& pair, float* coefficients, double* parts, unsigned blocks, bool vector,
                             Stream stream) {
  kNccForward<FixedImage::kFixedPoint>[pair.window / 2 - 1][vector ? 1 : 0](pair, coefficients, parts, blocks, stream);
}

}  // namespace regatta::kernels
