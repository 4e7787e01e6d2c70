// Operators for tensors without data, registered with LibTorch where this file's object is linked in.
#pragma once

namespace regatta {

/// Makes the linker take the object file that registers them.
void use_meta_kernels();

}  // namespace regatta
