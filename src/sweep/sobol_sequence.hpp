// Sobol's sequence with 32 bits, point by point in any order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace regatta {

class SobolSequence {
 public:
  static constexpr int kBits = 32;
  static constexpr std::size_t kMostDimensions = 128;

  /// @param dimensions  1..kMostDimensions
  /// @param seed  of the scrambling: each dimension's direction numbers through a random lower triangular matrix over
  /// GF(2) with ones on its diagonal, then a digital shift (Matousek, J. Complexity 14 (1998)). Without a seed the
  /// sequence itself, in Gray code order: as scipy.stats.qmc.Sobol(bits=32, scramble=False)
  /// @throws BugError on another number of dimensions
  explicit SobolSequence(std::size_t dimensions, std::optional<std::uint64_t> seed = {});

  /// Coordinate in [0, 1) of point `index`, a multiple of 2^-32. Deterministic; at most 32 operations.
  double at(std::uint32_t index, std::size_t dimension) const;

 private:
  struct Dimension {
    std::array<std::uint32_t, kBits> directions{};  ///< v_1 ... v_32
    std::uint32_t shift = 0;
  };
  std::vector<Dimension> dimensions_;
};

}  // namespace regatta
