#include "train/captured_steps.hpp"

#include <array>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "regatta/base/text.hpp"

namespace regatta {
namespace {

constexpr int kUncaptured = 2;   ///< steps of a kind before it is recorded: libraries make their plans in them
constexpr int kStepsAhead = 32;  ///< of the host before the device

/// The tensors of a batch that a network or loss may read.
constexpr std::array<at::Tensor PairState::*, 6> kInputs = {&PairState::fixed,        &PairState::moving,
                                                            &PairState::fixed_labels, &PairState::moving_labels,
                                                            &PairState::fixed_mask,   &PairState::moving_mask};

/// Batches of one kind differ in nothing but the values of their tensors.
std::string kind_of(const PairState& batch) {
  std::string text = str(batch.label_count, batch.in_unit_range ? " unit" : "");
  for (const auto input : kInputs) {
    const at::Tensor& tensor = batch.*input;
    text += tensor.defined() ? str(" ", join(tensor.sizes(), "x")) : " -";
  }
  return text;
}

}  // namespace

struct CapturedSteps::Kind {
  explicit Kind(const PairState& batch) : inputs(batch) {
    for (const auto input : kInputs) {
      if ((inputs.*input).defined()) {
        inputs.*input = at::empty_like(batch.*input, at::MemoryFormat::Contiguous);
      }
    }
  }

  void take(const PairState& batch) {
    const at::NoGradGuard no_gradients;
    for (const auto input : kInputs) {
      if ((inputs.*input).defined()) {
        (inputs.*input).copy_(batch.*input);
      }
    }
  }

  PairState inputs;
  int steps = 0;
  std::unique_ptr<CapturedGraph> graph;
};

/// Rate and number of the update on their way to the device: a ring of page-locked slots, each used again only when the
/// step that read it is done.
class CapturedSteps::Numbers {
 public:
  explicit Numbers(const at::Device& device)
      : guard_(device.type()),
        device_(device),
        ring_(at::empty({kStepsAhead, 2}, at::TensorOptions().dtype(at::kDouble).pinned_memory(true))),
        on_device_(at::empty({2}, at::device(device).dtype(at::kDouble))) {
    for (int i = 0; i < kStepsAhead; ++i) {
      done_.emplace_back(device.type());
    }
  }

  UpdateNumbers set(double lr, std::int64_t update) {
    c10::Event& done = done_[slot_];
    if (done.was_marked_for_recording()) {
      done.synchronize();
    }
    const at::Tensor slot = ring_[static_cast<std::int64_t>(slot_)];
    double* values = slot.mutable_data_ptr<double>();
    values[0] = lr;
    values[1] = static_cast<double>(update);
    on_device_.copy_(slot, /*non_blocking=*/true);
    return {lr, update, on_device_};
  }

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

CapturedSteps::CapturedSteps(const at::Device& device, Capture capture,
                             std::function<void(const PairState&, const UpdateNumbers&)> work)
    : work_(std::move(work)),
      capture_(capture),
      numbers_(std::make_unique<Numbers>(device)),
      pool_(std::make_unique<GraphPool>(device)) {}

CapturedSteps::~CapturedSteps() = default;

void CapturedSteps::run(const PairState& batch, double lr, std::int64_t update, bool may_capture) {
  const UpdateNumbers numbers = numbers_->set(lr, update);
  if (capture_ == Capture::kNever || !may_capture ||
      batch.fixed_keypoints.defined()) {  // lists of key-points differ in length from pair to pair
    work_(batch, numbers);
    numbers_->given();
    return;
  }
  std::unique_ptr<Kind>& kind = kinds_[kind_of(batch)];
  if (kind == nullptr) {
    kind = std::make_unique<Kind>(batch);
  }
  kind->take(batch);
  if (kind->steps++ < kUncaptured) {
    work_(kind->inputs, numbers);
  } else {
    if (kind->graph == nullptr) {
      kind->graph = std::make_unique<CapturedGraph>(*pool_, [&] { work_(kind->inputs, numbers); });
      operations_ = kind->graph->operations();
    }
    kind->graph->replay();
    ++replays_;
  }
  numbers_->given();
}

}  // namespace regatta
