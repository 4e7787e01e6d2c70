// LibTorch's exceptions as our own errors: out of memory, device fault, anything else.
#pragma once

#include <string>
#include <utility>

#include <c10/util/Exception.h>

#include "regatta/base/error.hpp"

namespace regatta {

/// The device's or the host's memory is used up.
bool is_out_of_memory(const c10::Error& error);

/// @throws Error with exit code 12 (out of memory), DeviceError (CUDA, cuDNN) or BugError
[[noreturn]] void rethrow_torch_error(const c10::Error& error);

/// Runs `body`; errors of LibTorch leave it as ours.
template <class Body>
auto with_torch_errors(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const c10::Error& error) {
    rethrow_torch_error(error);
  }
}

}  // namespace regatta
