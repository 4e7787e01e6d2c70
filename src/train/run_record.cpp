// Metadata and results.
#include "train/run_record.hpp"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include <ATen/Version.h>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/process.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/record.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/weights_file.hpp"

namespace regatta {
namespace {

/// "580.95.05", or empty without an NVIDIA driver.
std::string driver_text() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string word;
  while (file >> word) {
    if (std::count(word.begin(), word.end(), '.') >= 1 && word.find_first_not_of("0123456789.") == std::string::npos) {
      return word;
    }
  }
  return "";
}

/// The recipe without paths and resources.
Json portable_recipe(const ResolvedRecipe& resolved) {
  Json recipe = resolved.json;
  for (const char* pointer : kPathOptions) {
    const std::filesystem::path path(find_pointer(recipe, pointer)->get<std::string>());
    set_pointer(recipe, pointer, path.filename().string());
  }
  recipe.erase("checkpoint");
  for (const char* key : {"device", "backend", "threads", "log_every_s", "loss_every_steps", "log_pairs"}) {
    recipe["run"].erase(key);
  }
  return recipe;
}

}  // namespace

Json environment_of(const c10::Device& device, Backend backend, int threads) {
  Json environment;
  environment["build"] = build_id();
  environment["torch"] = torch_version_text();
  environment["device"] = device_name(device);
  if (backend == Backend::kFast) {  // older checkpoints do not say it: they are by reference
    environment["backend"] = backend_name(backend);
  }
  if (device.is_cpu()) {
    environment["instructions"] = at::get_cpu_capability();
    environment["threads"] = threads;
  } else {
    environment["driver"] = driver_text();
  }
  return environment;
}

std::string determinism_of(const ResolvedRecipe& resolved, const c10::Device& device) {
  return device.is_cuda() && resolved.numerical_on_cuda ? "numerical" : "bitwise";
}

std::string resume_kind(const std::string& determinism, const std::string& before, const std::string& difference) {
  return determinism == "bitwise" && before != "numerical" && difference.empty() ? "bitwise" : "numerical";
}

std::map<std::string, std::string> checkpoint_metadata(const ResolvedRecipe& resolved, const TrainingCounters& counters,
                                                       const Json& environment) {
  return {{kFormatKey, kCheckpointFormat},
          {"counters", dump_line(to_json(counters))},
          {"environment", dump_line(environment)},
          {"recipe", dump_line(portable_recipe(resolved))},
          {"recipe_hash", resolved.hash}};
}

std::map<std::string, std::string> best_metadata(const ResolvedRecipe& resolved, const Archive& archive,
                                                 const TrainingCounters& counters) {
  std::map<std::string, std::string> metadata = {{kFormatKey, kWeightsFormat},
                                                 {"recipe", dump_line(portable_recipe(resolved))},
                                                 {"recipe_hash", resolved.hash},
                                                 {"step", str(counters.best_step)},
                                                 {"epoch", str(counters.best_step / resolved.steps_per_epoch)},
                                                 {"metric", resolved.recipe.validation.best},
                                                 {"metrics", dump_line(numbers_to_json(counters.best))},
                                                 {"build", build_id()}};
  if (!resolved.init_from_xxh3.empty()) {
    metadata["init_from_xxh3"] = resolved.init_from_xxh3;
  }
  metadata.merge(data_metadata(archive));
  return metadata;
}

std::optional<BestOnDisk> read_best(const TrialFiles& files) {
  const std::string source = files.best_weights().string();
  try {
    const SafetensorsFile file = read_safetensors(files.best_weights());
    BestOnDisk best;
    best.step = parse_json(file.metadata.at("step"), source).get<std::int64_t>();
    best.metrics = numbers_from_json(parse_json(file.metadata.at("metrics"), source), "");
    return best;
  } catch (const Error&) {
    return std::nullopt;
  } catch (const Json::exception&) {
    return std::nullopt;
  } catch (const std::out_of_range&) {
    return std::nullopt;
  }
}

TrialResult make_result(const TrainSetup& setup, const TrainingCounters& counters, const RunLedger& ledger,
                        Backend backend, const std::string& backend_parts) {
  const ResolvedRecipe& resolved = setup.resolved;
  TrialResult result;
  result.recipe_hash = resolved.hash;
  result.steps = counters.step;
  result.epochs = counters.step / resolved.steps_per_epoch;
  result.parameters = resolved.parameters;
  result.best_metric = resolved.recipe.validation.best;
  result.best_step = counters.best_step;
  result.best = counters.best;
  result.initial = counters.initial;
  result.last = counters.last;
  result.train_s = ledger.train_s;
  result.ms_per_step = counters.step > 0 ? 1000.0 * ledger.step_s / static_cast<double>(counters.step) : 0.0;
  result.peak_device_bytes = peak_device_bytes(setup.device);
  result.determinism = determinism_of(resolved, setup.device);
  result.resume = ledger.resume;
  result.attempts = setup.attempt;
  result.skipped_steps = counters.skipped_steps;
  result.rollbacks = counters.rollbacks;
  result.lr_factor = counters.lr_factor;
  result.init_from = resolved.recipe.model.init_from;
  result.init_from_xxh3 = resolved.init_from_xxh3;
  result.weights_xxh3 = xxh3_text(read_file(setup.files.best_weights(), std::uint64_t{1} << 34));
  Provenance& provenance = result.provenance;
  provenance.build = build_id();
  provenance.torch = torch_version_text();
  provenance.device = device_name(setup.device);
  provenance.backend = backend_name(backend);
  provenance.parts = backend_parts;
  provenance.driver = setup.device.is_cuda() ? driver_text() : "";
  provenance.host = host_name();
  provenance.archive = resolved.recipe.data.archive;
  provenance.data_fingerprint = resolved.data.fingerprint;
  provenance.started_utc = ledger.started_utc;
  provenance.finished_utc = system_clock().utc_text();
  return result;
}

}  // namespace regatta
