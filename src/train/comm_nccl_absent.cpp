// Without NCCL a group works on the CPU alone.
#include "train/comm.hpp"

namespace regatta {

std::unique_ptr<Comm> meet_over_nccl(const GroupPlace&, const at::Device& device) {
  throw NotBuilt(str(device.str(),
                     ": this build is without NCCL, so that several GPUs cannot train one trial; build "
                     "with a LibTorch for CUDA from PyPI (env/setup.sh --cuda), which brings it"));
}

std::string nccl_text() {
  return "left out: no nccl.h beside LibTorch";
}

}  // namespace regatta
