// What the device's and the reference's key-points share.
#pragma once

namespace regatta::kernels {

constexpr int kKeypointThreads = 64;      ///< a block's, a point each
constexpr double kKeypointLeast = 1e-12;  ///< length below which a slope has none

}  // namespace regatta::kernels
