#include "regatta/train/registration.hpp"

#include <algorithm>

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
#include "train/network_answer.hpp"

namespace regatta {
namespace {

at::Tensor as_batch(std::vector<float>& voxels, const Shape3& shape, const at::Device& device) {
  return at::from_blob(voxels.data(), {1, 1, shape[0], shape[1], shape[2]}, at::kFloat)
      .to(device, at::kFloat, false, true);
}

at::Tensor labels_as_batch(const std::vector<std::uint8_t>& labels, const Shape3& shape, const at::Device& device) {
  auto* const values = const_cast<std::uint8_t*>(labels.data());  // NOLINT: LibTorch takes no constant memory
  return at::from_blob(values, {1, 1, shape[0], shape[1], shape[2]}, at::kByte).to(device, at::kByte, false, true);
}

std::vector<float> host_values(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

/// The recipe's metrics of one state; those whose inputs are missing are left out.
std::map<std::string, double> measure_pair(const Recipe& recipe, const PairState& pair) {
  std::map<std::string, double> measured;
  for (const std::string& name : recipe.validation.metrics) {
    const MetricRow& row = find_metric(name);
    const std::string_view needs = row.needs;
    if (needs.empty() || needs == "images" || (needs == "labels" && pair.fixed_labels.defined())) {
      measured[name] = row.make()->measure(pair).front().second;
    }
  }
  return measured;
}

Json metadata_json(const SafetensorsFile& file, const std::string& key, const std::filesystem::path& path) {
  const auto found = file.metadata.find(key);
  REGATTA_REQUIRE(found != file.metadata.end(), DataError, path.string(), ": metadata '", key, "' is missing",
                  key == "preprocessing"
                      ? "; regatta convert edit --preprocess-from ARCHIVE.h5 (or --preprocess DATASET.json) adds it"
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
                  "'; make it of this file: regatta convert edit ", path.filename().string(),
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
void prepare_scans(const TrainedModel& trained, const Volume& fixed, const Volume& moving_file,
                   const RegistrationStart& start, Registration& out) {
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
  out.placement = place_moving(fixed, moving, trained.preprocess, start.rule);
  if (start.given) {
    move_placement(out.placement, fixed, moving, *start.given);
    out.placement.rule = "file";
  } else if (start.affine) {
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

TrainedModel load_trained_ensemble(const std::vector<std::filesystem::path>& paths, const std::string& device,
                                   const std::string& backend) {
  REGATTA_REQUIRE(!paths.empty(), BugError, "load_trained_ensemble: no weights");
  TrainedModel all = load_trained_model(paths.front(), device, backend);
  for (std::size_t i = 1; i < paths.size(); ++i) {
    TrainedModel one = load_trained_model(paths[i], device, backend);
    const DataOptions& data = one.recipe.data;
    const bool alike = write_options(one.preprocess) == write_options(all.preprocess) &&
                       one.data_aligned == all.data_aligned &&
                       data.moving_modality == all.recipe.data.moving_modality &&
                       data.fixed_modality == all.recipe.data.fixed_modality;
    REGATTA_REQUIRE(alike, DataError, paths[i].string(), ": its training data were prepared otherwise than those of ",
                    paths.front().string(), ": weights of one ensemble are trained on archives of one preprocessing");
    all.one_network = all.one_network && one.recipe.model.name == all.recipe.model.name &&
                      one.model->options() == all.model->options();
    all.weights_xxh3 += "+" + one.weights_xxh3;
    if (!one.converted.empty()) {
      all.converted += (all.converted.empty() ? "" : "; ") + one.converted;
    }
    all.others.push_back(std::move(one.model));
  }
  return all;
}

void move_to(TrainedModel& trained, const at::Device& device) {
  trained.model->parameters().to_device(device);
  for (const auto& other : trained.others) {
    other->parameters().to_device(device);
  }
}

Registration prepare_registration(const TrainedModel& trained, const Volume& fixed, const Volume& moving,
                                  const RegistrationStart& start) {
  Registration out;
  prepare_scans(trained, fixed, moving, start, out);
  return out;
}

Registration packed_registration(const Volume& fixed, const Volume& moving) {
  REGATTA_REQUIRE(fixed.grid.shape == moving.grid.shape, BugError,
                  "packed_registration: ", shape_text(fixed.grid.shape), " and ", shape_text(moving.grid.shape));
  Registration out;
  out.fixed = {fixed.grid, fixed.voxels};
  out.moving = {moving.grid, moving.voxels};
  out.moving_grid = moving.grid;
  out.placement.rule = "archive";
  return out;
}

void run_network(TrainedModel& trained, Registration& registration, const NetworkRun& run) {
  const at::Device device = choose_device(run.device);
  set_deterministic(trained.recipe.run.tf32);
  const at::NoGradGuard no_grad;
  const Shape3& shape = registration.fixed.packed.shape;
  PairState pair;
  pair.fixed = as_batch(registration.fixed.voxels, shape, device);
  pair.moving = as_batch(registration.moving.voxels, shape, device);
  if (const PreparedLabels& labels = registration.labels; !labels.values.empty()) {
    pair.fixed_labels = labels_as_batch(labels.fixed, shape, device);
    pair.moving_labels = labels_as_batch(labels.moving, shape, device);
    pair.label_count = static_cast<std::int64_t>(labels.values.size());
    pair.reading.values = labels.values;
  }
  move_to(trained, device);

  synchronize(device);
  const double start = system_clock().monotonic_s();
  NetworkAnswer answer(trained, pair);
  synchronize(device);
  registration.network_s = system_clock().monotonic_s() - start;

  pair.warped = pair.moving;
  pair.flow = at::zeros_like(answer.output().flow);
  pair.regularised = pair.flow;
  registration.before = measure_pair(trained.recipe, pair);
  pair.network_s = registration.network_s;
  registration.after = measure_pair(trained.recipe, with_output(pair, answer.output()));
  if (run.refine.iterations > 0) {
    const double begin = system_clock().monotonic_s();
    registration.refinement = answer.refine(run.refine);
    synchronize(device);
    registration.refinement_s = system_clock().monotonic_s() - begin;
    registration.unrefined = registration.after;
    registration.after = measure_pair(trained.recipe, with_output(pair, answer.output()));
  }
  if (const at::Tensor inverse = run.inverse ? answer.inverse() : at::Tensor(); inverse.defined()) {
    registration.packed_inverse = host_values(inverse);
  }
  registration.packed_warped = host_values(answer.output().warped);
  registration.packed_field = host_values(answer.output().flow);
}

void finish_registration(Registration& registration, const Grid& fixed) {
  registration.field = displacement_on_grid(registration.packed_field, registration.fixed.packed,
                                            registration.moving.packed.affine, fixed);
  if (!registration.packed_inverse.empty()) {
    registration.network_inverse = displacement_on_grid(registration.packed_inverse, registration.moving.packed,
                                                        registration.fixed.packed.affine, registration.moving_grid);
  }
}

Registration register_scans(TrainedModel& trained, const Volume& fixed, const Volume& moving,
                            const std::string& device_text, bool affine, const std::string& initial) {
  Registration out = prepare_registration(trained, fixed, moving, {affine, initial, std::nullopt});
  run_network(trained, out, {device_text});
  finish_registration(out, fixed.grid);
  return out;
}

}  // namespace regatta
