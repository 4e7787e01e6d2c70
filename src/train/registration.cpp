#include "regatta/train/registration.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/weight_edit.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/volume/resample.hpp"

namespace regatta {
namespace {

at::Tensor as_batch(std::vector<float>& voxels, const Shape3& shape, const at::Device& device) {
  return at::from_blob(voxels.data(), {1, 1, shape[0], shape[1], shape[2]}, at::kFloat)
      .to(device, at::kFloat, false, true);
}

std::vector<float> host_values(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

/// The recipe's metrics of one state; those that need labels or key-points are left out.
std::map<std::string, double> measure_pair(const Recipe& recipe, const PairState& pair) {
  std::map<std::string, double> measured;
  for (const std::string& name : recipe.validation.metrics) {
    const MetricRow& row = find_metric(name);
    const std::string_view needs = row.needs;
    if (needs.empty() || needs == "images") {
      measured[name] = row.make()->measure(pair).front().second;
    }
  }
  return measured;
}

Json metadata_json(const SafetensorsFile& file, const std::string& key, const std::filesystem::path& path) {
  const auto found = file.metadata.find(key);
  REGATTA_REQUIRE(found != file.metadata.end(), DataError, path.string(), ": metadata '", key, "' is missing",
                  key == "preprocessing"
                      ? "; regatta convert --preprocess-from ARCHIVE.h5 (or --preprocess DATASET.json) adds it"
                      : "");
  return parse_json(found->second, str(path.string(), ": metadata '", key, "'"));
}

void require_weights_format(const SafetensorsFile& file, const std::filesystem::path& path) {
  const auto found = file.metadata.find(kFormatKey);
  const std::string format = found == file.metadata.end() ? "" : found->second;
  const std::string what = format.empty()                ? "names no network (metadata 'format')"
                           : format == kCheckpointFormat ? "a checkpoint"
                                                         : str("format '", one_line(format, 60), "'");
  REGATTA_REQUIRE(format == kWeightsFormat, DataError, path.string(), ": ", what, ", expected '", kWeightsFormat,
                  "'; make it of this file: regatta convert ", path.filename().string(),
                  format == kCheckpointFormat ? " --weights-only" : " --model NAME",
                  " --preprocess DATASET.json -o OUT.safetensors");
}

/// As the archive was made; what was left to the first subject there is what the archive has.
void read_preprocessing(const SafetensorsFile& file, const std::filesystem::path& path, PreprocessOptions& options) {
  read_options(metadata_json(file, "preprocessing", path), options, "/preprocessing");
  options.shape = metadata_json(file, "shape", path).get<std::vector<int>>();
  options.spacing_mm = metadata_json(file, "spacing", path).get<std::vector<double>>();
}

/// What was trained. No order to train: weights of other programs name the network alone.
Recipe read_recipe_record(const SafetensorsFile& file, const std::filesystem::path& path) {
  Recipe recipe;
  try {
    read_options(metadata_json(file, "recipe", path), recipe);
  } catch (const ConfigError& error) {
    throw ConfigError(str(path.string(), ": recipe: ", error.what()));
  }
  return recipe;
}

/// Both scans on the fixed one's packed grid, the moving one where it lies at first.
void prepare_scans(const TrainedModel& trained, const Volume& fixed, const Volume& moving_file, bool affine,
                   const std::string& initial, Registration& out) {
  const DataOptions& data = trained.recipe.data;
  const auto intensity = [&](const std::string& modality) { return intensity_of(trained.preprocess, modality); };
  out.fixed = prepare_image(fixed, map_to_packed_grid(fixed, trained.preprocess), trained.preprocess,
                            intensity(data.fixed_modality));
  std::optional<Volume> given_space;
  if (!has_space(fixed.affine_source) || !has_space(moving_file.affine_source)) {
    given_space = moving_file;
    given_space->grid.affine = affine_in_space_of(fixed, moving_file, trained.preprocess);
  }
  const Volume& moving = given_space ? *given_space : moving_file;
  out.moving_grid = moving.grid;
  out.placement = place_moving(fixed, moving, trained.preprocess, initial);
  if (affine) {
    out.affine = register_affine(fixed, moving);
    move_placement(out.placement, fixed, moving, out.affine->fixed_to_moving);
  }
  out.moving =
      prepare_moving(moving, out.fixed.packed, out.placement, trained.preprocess, intensity(data.moving_modality));
}

}  // namespace

TrainedModel load_trained_model(const std::filesystem::path& path, const std::string& device_text,
                                const std::string& backend) {
  SafetensorsFile file = read_safetensors(path);
  require_weights_format(file, path);
  const std::string renamed = use_current_names(file);
  TrainedModel trained;
  trained.recipe = read_recipe_record(file, path);
  read_preprocessing(file, path, trained.preprocess);
  const auto affine = file.metadata.find("affine");
  trained.data_aligned = affine != file.metadata.end() && affine->second == "to_atlas";
  if (trained.data_aligned) {
    trained.preprocess.place = "affine";  // which older files do not say
  }
  const at::Device device = choose_device(device_text);
  trained.model = make_model(trained.recipe.model.name, trained.recipe.model.options,
                             network_context(trained.recipe.run, device, choose_backend(backend, device)));
  trained.converted = load_parameters(trained.model->parameters(), file, path.string());
  if (!renamed.empty()) {
    trained.converted = trained.converted.empty() ? renamed : str(renamed, "; ", trained.converted);
  }
  trained.weights_xxh3 = file.xxh3;
  return trained;
}

Registration register_scans(TrainedModel& trained, const Volume& fixed, const Volume& moving,
                            const std::string& device_text, bool affine, const std::string& initial) {
  const at::Device device = choose_device(device_text);
  set_deterministic(trained.recipe.run.tf32);
  const at::NoGradGuard no_grad;
  Registration out;
  prepare_scans(trained, fixed, moving, affine, initial, out);
  const Shape3& shape = out.fixed.packed.shape;
  PairState pair;
  pair.fixed = as_batch(out.fixed.voxels, shape, device);
  pair.moving = as_batch(out.moving.voxels, shape, device);
  trained.model->parameters().to_device(device);

  synchronize(device);
  const double start = system_clock().monotonic_s();
  const ModelOutput output = trained.model->forward(pair.moving, pair.fixed);
  synchronize(device);
  out.network_s = system_clock().monotonic_s() - start;

  pair.warped = pair.moving;
  pair.flow = at::zeros_like(output.flow);
  pair.regularised = pair.flow;
  out.before = measure_pair(trained.recipe, pair);
  pair.network_s = out.network_s;
  out.after = measure_pair(trained.recipe, with_output(pair, output));
  out.packed_warped = host_values(output.warped);
  out.packed_field = host_values(output.flow);
  out.field = displacement_on_grid(out.packed_field, out.fixed.packed, out.moving.packed.affine, fixed.grid);
  return out;
}

}  // namespace regatta
