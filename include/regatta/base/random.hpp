// Counter-based random numbers (Philox4x32-10): a value is a pure function of (seed, purpose, counters), so that a
// resumed run draws what an uninterrupted one would have drawn. No state, no shared generator.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace regatta {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// What a draw is for; keeps the streams of one seed apart. Never renumber: saved runs depend on it.
enum class RandomPurpose : std::uint32_t {
  kProposal = 1,
  kPairOrder = 2,
  kAugment = 3,
  kInitialise = 4,
  kDropout = 5,
  kSynthetic = 6,
  kReplicateSeed = 7,
  kSampling = 8,
  kScramble = 9,
  kCandidate = 10,
  kBootstrap = 16,
};

class CounterRng {
 public:
  CounterRng(std::uint64_t seed, RandomPurpose purpose) : seed_(seed), purpose_(purpose) {}

  /// 64 random bits for the counters (a, b).
  std::uint64_t bits(std::uint64_t a, std::uint32_t b = 0) const;

  /// Uniform in [0, 1), 53 bits.
  double uniform(std::uint64_t a, std::uint32_t b = 0) const;

  /// Standard normal (Box-Muller on one draw).
  double normal(std::uint64_t a, std::uint32_t b = 0) const;

  /// Uniform integer in [0, n), n > 0.
  std::uint64_t below(std::uint64_t n, std::uint64_t a, std::uint32_t b = 0) const;

  /// A permutation of 0..n-1 that depends on `a` alone.
  std::vector<std::uint32_t> permutation(std::uint32_t n, std::uint64_t a) const;

 private:
  std::uint64_t seed_;
  RandomPurpose purpose_;
};

}  // namespace regatta
