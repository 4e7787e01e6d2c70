#include "regatta/sweep/layout.hpp"

namespace regatta {

std::string trial_name(std::int64_t number) {
  constexpr std::size_t kDigits = 5;
  const std::string digits = str(number);
  return str("t", std::string(digits.size() < kDigits ? kDigits - digits.size() : 0, '0'), digits);
}

}  // namespace regatta
