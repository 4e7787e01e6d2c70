// Members of one node with a GPU each: sums of tensors by NCCL on the stream that LibTorch works on, texts over
// sockets. A communicator is never taken down: where the group ends well the process ends too, and where it does not,
// taking it down could wait for ever.
#include <string>
#include <utility>

#include <ATen/ops/ones.h>
#include <nccl.h>

#include "regatta/nn/chip.hpp"
#include "regatta/nn/device.hpp"
#include "train/comm.hpp"

namespace regatta {
namespace {

/// Thread blocks of a collective: our kernels fill the GPU and would stall beside more.
constexpr int kMostBlocks = 8;

void require_nccl(ncclResult_t result, const char* what) {
  REGATTA_REQUIRE(result == ncclSuccess, CommError, "NCCL: ", what, ": ", ncclGetErrorString(result), "; ",
                  ncclGetLastError(nullptr), " (NCCL_DEBUG=WARN says more)");
}

std::string version_text(int code) {
  return str(code / 10000, ".", code / 100 % 100, ".", code % 100);
}

class NcclComm final : public Comm {
 public:
  NcclComm(std::unique_ptr<Comm> control, const at::Device& device) : control_(std::move(control)) {
    int loaded = 0;
    require_nccl(ncclGetVersion(&loaded), "version");
    REGATTA_REQUIRE(loaded == NCCL_VERSION_CODE, CommError, "NCCL ", version_text(loaded), " was loaded, built with ",
                    version_text(NCCL_VERSION_CODE), ": another libnccl.so.2 stands in the way (LD_LIBRARY_PATH?)");
    ncclUniqueId id{};
    if (control_->is_first()) {
      require_nccl(ncclGetUniqueId(&id), "unique id");
    }
    const std::string bytes = control_->broadcast(std::string(id.internal, sizeof id.internal));
    bytes.copy(id.internal, sizeof id.internal);
    const at::Tensor one = at::ones({1}, at::device(device).dtype(at::kFloat));
    synchronize(device);  // a member sees its own GPU alone, which is the current one
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.maxCTAs = kMostBlocks;
    require_nccl(ncclCommInitRankConfig(&comm_, size(), id, rank(), &config), "start of the group");
    NcclComm::all_reduce_({one});  // it connects now, not while a step is being captured
    synchronize(device);
  }

  int rank() const override { return control_->rank(); }
  int size() const override { return control_->size(); }
  std::string broadcast(std::string text) override { return control_->broadcast(std::move(text)); }
  std::vector<std::string> gather(std::string text) override { return control_->gather(std::move(text)); }
  void set_patience_s(double seconds) override { control_->set_patience_s(seconds); }

  void all_reduce_(const std::vector<at::Tensor>& tensors) override {
    require_nccl(ncclGroupStart(), "sum");
    for (const at::Tensor& tensor : tensors) {
      REGATTA_REQUIRE(tensor.is_cuda() && tensor.is_contiguous() && tensor.scalar_type() == at::kFloat, BugError,
                      "group: a sum by NCCL takes contiguous float32 tensors of a GPU");
      require_nccl(
          ncclAllReduce(tensor.const_data_ptr(), tensor.mutable_data_ptr(), static_cast<std::size_t>(tensor.numel()),
                        ncclFloat32, ncclSum, comm_, fast::chip_of(tensor).stream),
          "sum");
    }
    require_nccl(ncclGroupEnd(), "sum");
  }

 private:
  std::unique_ptr<Comm> control_;
  ncclComm_t comm_ = nullptr;
};

}  // namespace

std::unique_ptr<Comm> meet_over_nccl(const GroupPlace& place, const at::Device& device) {
  return std::make_unique<NcclComm>(meet_over_sockets(place), device);
}

std::string nccl_text() {
  return str("NCCL ", version_text(NCCL_VERSION_CODE));
}

}  // namespace regatta
