#include "train/captured_steps.hpp"

#include <cstring>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "train/batch_inputs.hpp"

namespace regatta {
namespace {

constexpr int kUncaptured = 2;   ///< steps of a kind before it is recorded: libraries make their plans in them
constexpr int kStepsAhead = 32;  ///< of the host before the device

}  // namespace

struct CapturedSteps::Kind {
  Kind(const PairState& first, const at::Tensor& numbers, const BatchShare& share) : inputs(first, numbers, share) {}

  BatchInputs inputs;
  int steps = 0;
  std::unique_ptr<CapturedGraph> graph;
};

/// What changes from step to step on its way to the device: a ring of page-locked slots, each used again only when the
/// step that read it is done.
class CapturedSteps::Numbers {
 public:
  explicit Numbers(const at::Device& device)
      : guard_(device.type()),
        device_(device),
        ring_(at::empty({kStepsAhead, kStepNumbers}, at::TensorOptions().dtype(at::kDouble).pinned_memory(true))),
        on_device_(at::empty({kStepNumbers}, at::device(device).dtype(at::kDouble))) {
    for (int i = 0; i < kStepsAhead; ++i) {
      done_.emplace_back(device.type());
    }
  }

  UpdateNumbers set(const StepNumbers& numbers) {
    c10::Event& done = done_[slot_];
    if (done.was_marked_for_recording()) {
      done.synchronize();
    }
    const at::Tensor slot = ring_[static_cast<std::int64_t>(slot_)];
    std::memcpy(slot.mutable_data_ptr(), &numbers, sizeof(numbers));
    on_device_.copy_(slot, /*non_blocking=*/true);
    return {numbers.lr, static_cast<std::int64_t>(numbers.update), on_device_.narrow(0, 0, 2)};
  }

  const at::Tensor& on_device() const { return on_device_; }

  /// The step that `set` was called for has been given to the device.
  void given() {
    done_[slot_].record(guard_.getStream(device_));
    slot_ = (slot_ + 1) % kStepsAhead;
  }

 private:
  c10::impl::VirtualGuardImpl guard_;
  at::Device device_;
  at::Tensor ring_;
  at::Tensor on_device_;
  std::vector<c10::Event> done_;
  std::size_t slot_ = 0;
};

CapturedSteps::CapturedSteps(const at::Device& device, Capture capture, std::shared_ptr<GraphPool> pool,
                             std::function<void(const PairState&, const BatchShare&, const UpdateNumbers&)> work)
    : work_(std::move(work)), capture_(capture), numbers_(std::make_unique<Numbers>(device)), pool_(std::move(pool)) {}

CapturedSteps::~CapturedSteps() = default;

void CapturedSteps::run(const PairState& batch, const BatchShare& share, double lr, std::int64_t update) {
  const UpdateNumbers numbers = numbers_->set(numbers_of(batch, lr, update, share));
  std::unique_ptr<Kind>& kind = kinds_[kind_of(batch, share)];
  if (kind == nullptr) {
    kind = std::make_unique<Kind>(batch, numbers_->on_device(), share);
  }
  kind->inputs.take_(batch);
  if (capture_ == Capture::kNever || kind->steps++ < kUncaptured) {
    work_(kind->inputs.batch(), kind->inputs.share(), numbers);
  } else {
    if (kind->graph == nullptr) {
      kind->graph =
          std::make_unique<CapturedGraph>(*pool_, [&] { work_(kind->inputs.batch(), kind->inputs.share(), numbers); });
      operations_ = kind->graph->operations();
    }
    kind->graph->replay();
    ++replays_;
  }
  numbers_->given();
}

}  // namespace regatta
