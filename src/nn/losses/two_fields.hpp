// The check of losses over a field and its inverse.
#pragma once

#include "nn/shapes.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {

/// @throws ConfigError if the network gave no inverse field, DataError unless both are [N, 3, D, H, W] of one shape
inline void check_two_fields(const char* who, const PairState& pair) {
  check_field(who, pair.flow, 2);
  REGATTA_REQUIRE(pair.inverse_flow.defined(), ConfigError, "/losses/", who,
                  ": this network gives no inverse field; it takes a two-directional one");
  REGATTA_REQUIRE(pair.inverse_flow.sizes() == pair.flow.sizes(), DataError, who, ": field ", shape_text(pair.flow),
                  ", inverse field ", shape_text(pair.inverse_flow), ", expected the same shape");
}

}  // namespace regatta::losses
