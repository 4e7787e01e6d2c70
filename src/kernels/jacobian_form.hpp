// What the device's sums over Jacobian determinants and their scratch share.
#pragma once

namespace regatta::kernels {

constexpr int kJacobianPlanes = 8;  ///< a thread's

}  // namespace regatta::kernels
