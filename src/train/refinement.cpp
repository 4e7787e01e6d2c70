#include "regatta/train/refinement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"
#include "train/objective.hpp"

namespace regatta {
namespace {

constexpr int kWindow = 10;          // iterations
constexpr double kLeastGain = 1e-3;  // of the loss, in a window
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

/// What the losses see of a value that is refined.
class RefinedOutput {
 public:
  RefinedOutput(const PairState& pair, const Refined& start, Backend backend)
      : pair_(pair), displacement_of_(start.displacement_of), backend_(backend) {}

  ModelOutput operator()(const at::Tensor& value) const {
    WarpOptions warping;
    warping.backend = backend_;
    ModelOutput output;
    output.flow = displacement_of_ ? displacement_of_(value) : value;
    output.regularised = value;
    output.warped = warp(pair_.moving, output.flow, warping);
    return output;
  }

 private:
  const PairState& pair_;
  const std::function<at::Tensor(const at::Tensor&)>& displacement_of_;
  Backend backend_;
};

/// Whether two images and what a network says of them give the loss a value that depends on the field.
bool is_usable_loss(const std::string& name, const LossTerm& term, const PairState& pair, const ModelOutput& output,
                    Backend backend) {
  if (term.weight == 0.0 || !make_loss(name, term.options)->needs().empty()) {
    return false;
  }
  try {
    const at::Tensor value = Objective({{name, term}}, backend).values(pair, output).total;
    return value.requires_grad() && std::isfinite(value.item<double>());
  } catch (const ConfigError&) {  // it asks for what networks of another kind have
    return false;
  } catch (const DataError&) {
    return false;
  }
}

/// Adam with PyTorch's rule, on one tensor.
class FieldAdam {
 public:
  FieldAdam(at::Tensor value, double rate)
      : value_(std::move(value)), first_(at::zeros_like(value_)), second_(at::zeros_like(value_)), rate_(rate) {}

  void step_(const at::Tensor& gradient) {
    ++count_;
    first_.mul_(kBeta1).add_(gradient, 1.0 - kBeta1);
    second_.mul_(kBeta2).addcmul_(gradient, gradient, 1.0 - kBeta2);
    const double size = rate_ / (1.0 - std::pow(kBeta1, count_));
    const at::Tensor spread = second_.sqrt().div_(std::sqrt(1.0 - std::pow(kBeta2, count_))).add_(kEpsilon);
    value_.addcdiv_(first_, spread, -size);
  }

 private:
  at::Tensor value_;
  at::Tensor first_;
  at::Tensor second_;
  double rate_;
  int count_ = 0;
};

/// The least loss so far, and whether it still falls.
class Descent {
 public:
  /// @return true if it is the least
  bool add(double loss) {
    losses_.push_back(loss);
    const bool best = loss < least_;
    least_ = std::min(least_, loss);
    return best;
  }

  bool has_converged() const {
    if (losses_.size() <= kWindow) {
      return false;
    }
    const auto middle = losses_.end() - kWindow;
    const double before = *std::min_element(losses_.begin(), middle);
    const double now = *std::min_element(middle, losses_.end());
    return before - now < kLeastGain * std::abs(before);
  }

  double least() const { return least_; }

 private:
  std::vector<double> losses_;
  double least_ = std::numeric_limits<double>::infinity();
};

}  // namespace

std::map<std::string, LossTerm> parse_loss_terms(const std::string& text) {
  std::map<std::string, LossTerm> out;
  for (const std::string& part : split(text, ',')) {
    const std::vector<std::string> halves = split(part, ':');
    const std::string name(trim(halves.front()));
    LossTerm term;
    term.weight = 1.0;
    if (halves.size() > 1) {
      const Json weight = parse_json(halves[1], str("--refine-loss: weight of ", name));
      REGATTA_REQUIRE(weight.is_number() && halves.size() == 2 && weight.get<double>() > 0.0, ConfigError,
                      "--refine-loss: '", one_line(part, 60), "': LOSS or LOSS:WEIGHT with a weight above 0 expected");
      term.weight = weight.get<double>();
    }
    make_loss(name, term.options);  // names the losses there are
    REGATTA_REQUIRE(out.emplace(name, term).second, ConfigError, "--refine-loss: ", name, " twice");
  }
  return out;
}

at::Tensor refine_field(const PairState& pair, const Refined& start, const std::map<std::string, LossTerm>& trained,
                        const RefineOptions& options, Backend backend, Refinement& done) {
  const at::AutoGradMode with_gradients(true);
  at::Tensor value = start.value.detach().clone().set_requires_grad(true);
  const RefinedOutput output_of(pair, start, backend);
  done.of = start.displacement_of ? "velocity" : "field";
  std::map<std::string, LossTerm> losses;
  for (const auto& [name, asked] : options.losses.empty() ? trained : options.losses) {
    LossTerm term = asked;
    const bool forward = std::find(term.sides.begin(), term.sides.end(), "forward") != term.sides.end();
    term.sides = {"forward"};
    if (forward && is_usable_loss(name, term, pair, output_of(value), backend)) {
      losses[name] = term;
      done.losses.push_back(name);
    } else {
      done.left_out.push_back(name);
    }
  }
  REGATTA_REQUIRE(!losses.empty(), ConfigError, "--refine: none of the losses (", join(done.left_out, ", "),
                  ") can be taken of two images and a field: add --refine-loss ncc:1,grad:1");
  const Objective objective(losses, backend);
  at::Tensor best = start.value.detach().clone();
  FieldAdam adam(value.detach(), options.rate);
  Descent descent;
  for (done.iterations = 0; done.iterations <= options.iterations; ++done.iterations) {
    const at::Tensor total = objective.values(pair, output_of(value)).total;
    const double loss = total.item<double>();
    REGATTA_REQUIRE(std::isfinite(loss), DataError, "--refine: the loss is ", to_text(loss), " in iteration ",
                    done.iterations, ": a smaller --refine-rate may help");
    const at::NoGradGuard no_gradients;
    if (done.iterations == 0) {
      done.loss_before = loss;
    }
    if (descent.add(loss)) {
      best.copy_(value);
    }
    done.converged = descent.has_converged();
    if (done.converged || done.iterations == options.iterations) {
      break;
    }
    total.backward();
    adam.step_(value.grad());
    value.mutable_grad().reset();
  }
  done.loss_after = descent.least();
  return best;
}

}  // namespace regatta
