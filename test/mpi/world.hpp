// The ranks of the test program: connected once by its main function, since MPI cannot start twice.
#pragma once

#include "launch/ranks.hpp"

namespace regatta::test {

Ranks& world();

}  // namespace regatta::test
