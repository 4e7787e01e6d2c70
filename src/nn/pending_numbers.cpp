// Metrics of a pair whose numbers come from the device together.
#include <algorithm>
#include <cstddef>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include "regatta/nn/metric.hpp"

namespace regatta {
namespace {

/// The numbers of one name: where they lie among all of the pair.
struct NumbersPart {
  std::string name;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

at::Tensor flat_numbers(const PendingNumbers& numbers) {
  return numbers.queue().to(at::kDouble).flatten();
}

/// Numbers of different names, each given to the device once.
class NumbersOnDevice {
 public:
  std::size_t add(const PendingNumbers& numbers) {
    const auto found =
        std::find_if(parts_.begin(), parts_.end(), [&](const NumbersPart& part) { return part.name == numbers.name; });
    if (found != parts_.end()) {
      return static_cast<std::size_t>(found - parts_.begin());
    }
    tensors_.push_back(flat_numbers(numbers));
    const std::int64_t first = parts_.empty() ? 0 : parts_.back().first + parts_.back().count;
    parts_.push_back({numbers.name, first, tensors_.back().numel()});
    return parts_.size() - 1;
  }

  void fetch() {
    if (!tensors_.empty()) {
      on_host_ = at::cat(tensors_).cpu();
    }
  }

  at::Tensor of(std::size_t index) const { return on_host_.narrow(0, parts_[index].first, parts_[index].count); }

 private:
  std::vector<NumbersPart> parts_;
  std::vector<at::Tensor> tensors_;
  at::Tensor on_host_;
};

}  // namespace

Measured measure_pending(const PendingNumbers& numbers) {
  const at::NoGradGuard no_gradients;
  return numbers.read(flat_numbers(numbers).cpu());
}

std::vector<Measured> measure_all(const std::vector<const Metric*>& metrics, const PairState& pair) {
  const at::NoGradGuard no_gradients;
  struct Wanted {
    std::optional<PendingNumbers> pending;
    std::size_t index = 0;
  };
  NumbersOnDevice numbers;
  std::vector<Wanted> wanted;
  for (const Metric* metric : metrics) {
    Wanted one{metric->pending(pair)};
    one.index = one.pending ? numbers.add(*one.pending) : 0;
    wanted.push_back(std::move(one));
  }
  numbers.fetch();
  std::vector<Measured> all;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    all.push_back(wanted[i].pending ? wanted[i].pending->read(numbers.of(wanted[i].index)) : metrics[i]->measure(pair));
  }
  return all;
}

}  // namespace regatta
