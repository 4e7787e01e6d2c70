#include "app/model_argument.hpp"

#include <optional>
#include <system_error>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"
#include "regatta/report/collect.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

/// The file itself, or the best weights of a sweep.
fs::path weights_file(const std::string& model) {
  std::error_code error;
  if (!fs::is_directory(model, error)) {
    return model;
  }
  const fs::path direct = fs::path(model) / "best.safetensors";
  if (fs::exists(direct, error)) {
    return direct;
  }
  const Report report = read_report({model});
  const std::optional<std::size_t> winner = report.winner();
  const std::string weights = winner ? report.weights_path(*winner) : "";
  REGATTA_REQUIRE(!weights.empty(), DataError, model,
                  ": a sweep without best weights yet: no trial has ended better than before its training; ",
                  "regatta status ", shell_quote(model), " says how far it is");
  log_info(model, ": best weights: ", weights);
  return weights;
}

}  // namespace

Argument* add_model_option(Arguments& app, std::vector<std::string>& models) {
  return app
      .add_option("--model", models,
                  "weights of a training: best.safetensors, or its folder; or a sweep's folder: its best weights; "
                  "several, each with --model: an ensemble, the mean of their velocities or fields")
      ->allow_extra_args(false);
}

std::vector<fs::path> weights_of(const std::vector<std::string>& models) {
  std::vector<fs::path> out;
  for (const std::string& model : models) {
    out.push_back(weights_file(model));
  }
  return out;
}

void warn_of_preprocessing(const TrainedModel& trained, const Archive& archive) {
  const Json here = archive.preprocessing();
  const Json there = write_options(trained.preprocess);
  std::vector<std::string> differences;
  for (const char* name : {"orientation", "spacing_mm", "shape", "intensity", "modalities", "place"}) {
    if (here.contains(name) && there.contains(name) && here.at(name) != there.at(name)) {
      differences.push_back(str(name, ' ', dump_line(here.at(name)), ", trained on ", dump_line(there.at(name))));
    }
  }
  if (!differences.empty()) {
    log_warning(archive.path().string(),
                ": packed otherwise than what the network was trained on: ", join(differences, "; "));
  }
}

}  // namespace regatta::app
