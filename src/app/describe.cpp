// `regatta describe`: recipes as JSON on stdin, what they mean as JSON on stdout; an error of one recipe stands in its
// place. `--models` lists the networks and what they cost; `--size` alone tells the memory of recipes whose archive is
// not there yet. The resolution is in train/resolve.
#include <iostream>
#include <iterator>
#include <optional>

#include "app/command.hpp"
#include "app/size_option.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/memory_forecast.hpp"
#include "regatta/train/model_table.hpp"
#include "regatta/train/resolve.hpp"
#include "regatta/train/training_benchmark.hpp"

namespace regatta::app {
namespace {

Json memory_of(const Recipe& recipe, const Shape3& shape, std::int64_t label_count) {
  const MemoryNeed need = memory_need(recipe, shape, label_count);
  return {{"training_bytes", need.training}, {"inference_bytes", need.inference}};
}

Json description_of(const ResolvedRecipe& resolved, MemoryForecast& memory) {
  Json value;
  value["resolved"] = resolved.json;
  value["identity"] = resolved.identity;
  value["hash"] = resolved.hash;
  value["parameters"] = resolved.parameters;
  value["mul_adds"] = resolved.mul_adds;
  value["size_multiple"] = resolved.size_multiple;
  value["forecast_bytes"] = memory.bytes(resolved);
  value["least_bytes"] = memory.least_bytes(resolved);
  const Backend backend = priced_backend(resolved.recipe.run);
  value["backend"] = forms_text(backend, memory.parts(resolved));
  value["parts"] = forms_json(memory.parts(resolved));
  value["metrics"] = Json::object();
  for (const std::string& name : resolved.recipe.validation.metrics) {
    const bool higher = find_metric(name).direction == Direction::kHigherIsBetter;
    value["metrics"][name] = higher ? "maximise" : "minimise";
  }
  Json& data = value["data"];
  data["fingerprint"] = resolved.data.fingerprint;
  data["shape"] = resolved.data.shape;
  data["train_pairs"] = resolved.data.train.pairs;
  data["val_pairs"] = resolved.data.val.pairs;
  data["label_count"] = resolved.data.label_count;
  data["splits"] = resolved.data.splits;
  data["resident_bytes"] = resolved.data.resident_bytes;
  value["steps_per_epoch"] = resolved.steps_per_epoch;
  value["steps"] = resolved.steps;
  value["notes"] = resolved.notes;
  return value;
}

Json measured(const ResolvedRecipe& resolved, const Archive& archive, int steps) {
  const TrainingTimes times = benchmark_training(resolved, archive, steps);
  return {{"device", times.device},
          {"step_ms", times.step_ms},
          {"validation_pair_ms", times.validation_pair_ms},
          {"load_s", times.load_s}};
}

class Describe final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_flag("--models", models_, "list the networks instead");
    app.add_option(
        "--size", size_,
        "DxHxW: with --models, at which to tell their work and memory; alone, tell the memory of the recipes "
        "at this size, without their archives");
    app.add_option("--measure", measure_steps_, "also time N training steps of each recipe, and a validation")
        ->range(1, 1000);
  }

  ExitCode run() override {
    const auto shape = size_.empty() ? std::nullopt : std::optional(shape_from(size_));
    std::cout << dump_line(models_ ? model_table(shape) : describe_recipes(shape, measure_steps_)) << std::endl;
    REGATTA_REQUIRE(std::cout.good(), DataError, "cannot write to stdout");
    return ExitCode::kOk;
  }

 private:
  static Json describe_recipes(const std::optional<Shape3>& shape, int measure_steps) {
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    const Json request = parse_json(text, "stdin");
    const Json* recipes = request.is_object() ? find_pointer(request, "/recipes") : nullptr;
    REGATTA_REQUIRE(recipes != nullptr && recipes->is_array(), ConfigError, "stdin: expected {\"recipes\": [...]}");
    const Json* labels = find_pointer(request, "/label_count");  // beside --size, for losses of labels
    const std::int64_t label_count = labels != nullptr && labels->is_number_integer() ? labels->get<std::int64_t>() : 0;
    RecipeResolver resolver;
    MemoryForecast memory;
    Json answers = Json::array();
    for (const Json& recipe : *recipes) {
      try {
        const Recipe options = recipe_from_json(recipe, "recipe");
        if (shape) {
          answers.push_back(memory_of(options, *shape, label_count));
          continue;
        }
        const ResolvedRecipe resolved = resolver.resolve(options);
        Json answer = description_of(resolved, memory);
        if (measure_steps > 0) {
          answer["measured"] = measured(resolved, resolver.archive(resolved.recipe.data.archive), measure_steps);
        }
        answers.push_back(answer);
      } catch (const Error& error) {
        Json failure;
        failure["error"] = error.what();
        failure["code"] = static_cast<int>(error.code());
        answers.push_back(failure);
      }
    }
    Json value;
    value["recipes"] = answers;
    return value;
  }

  bool models_ = false;
  std::string size_;
  int measure_steps_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_describe() {
  return std::make_unique<Describe>();
}

}  // namespace regatta::app
