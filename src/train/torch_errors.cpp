// Classification of LibTorch's exceptions.
#include "train/torch_errors.hpp"

#include <string_view>

namespace regatta {

bool is_out_of_memory(const c10::Error& error) {
  const std::string_view text = error.what_without_backtrace();
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         text.find("can't allocate memory") != std::string_view::npos ||  // the CPU allocator has no class of its own
         text.find("CUDA out of memory") != std::string_view::npos;
}

void rethrow_torch_error(const c10::Error& error) {
  const std::string text = one_line(error.what_without_backtrace(), 600);
  if (is_out_of_memory(error)) {
    throw Error(ExitCode::kOutOfMemory, str("out of memory: ", text));
  }
  if (text.find("CUDA error") != std::string::npos || text.find("cuDNN error") != std::string::npos ||
      text.find("CUDNN_STATUS") != std::string::npos) {
    throw DeviceError(text);
  }
  throw BugError(str("LibTorch: ", text));
}

}  // namespace regatta
