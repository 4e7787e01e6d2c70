// Catch2, whichever major version the system has (Debian 12 ships v2, Ubuntu 24.04 v2 or v3).
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <iostream>

/// Leaves the test with a line that names what is missing; the count of such lines is printed by tools/test.sh.
#define REGATTA_SKIP(reason)                                                                                \
  do {                                                                                                      \
    std::cout << "SKIPPED: " << Catch::getResultCapture().getCurrentTestName() << ": " << (reason) << '\n'; \
    return;                                                                                                 \
  } while (false)
