// Resolution of recipes through the registries of nn and the archive's tables.
#include "regatta/train/resolve.hpp"

#include <algorithm>
#include <memory>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/work.hpp"
#include "regatta/train/dataset.hpp"
#include "train/initial_weights.hpp"
#include "train/split_facts.hpp"

namespace regatta {
namespace {

void check_needs(ResolvedRecipe& resolved, const std::string& name, const LossTerm& term, const Loss& loss) {
  const SplitFacts& split = resolved.data.train;
  for (const std::string& need : loss.needs()) {
    for (std::size_t i = 0; i < term.sides.size(); ++i) {
      if (term.sides[i] == "halfway") {  // no scan lies on its own grid there
        const std::string text = str("/losses/", name, "/sides/", i, ": 'halfway', where there are no ", need);
        REGATTA_REQUIRE(need == "masks", ConfigError, text, "; allowed for this loss: forward, backward");
        resolved.notes.push_back(str(text, ": all voxels count"));
        continue;
      }
      const std::string note = check_need(split, need, term.sides[i], str("/losses/", name));
      if (!note.empty()) {
        const bool joined = need == "labels" && resolved.recipe.train.batch > 1;
        resolved.notes.push_back(joined ? str(note, "; a batch in which one lacks them counts as without") : note);
      }
    }
  }
}

void resolve_losses(ResolvedRecipe& resolved, Json& identity) {
  const auto& terms = resolved.recipe.losses;
  REGATTA_REQUIRE(std::any_of(terms.begin(), terms.end(), [](const auto& term) { return term.second.weight > 0.0; }),
                  ConfigError, "/losses: every weight is 0, at least one must be above");
  for (auto& [name, term] : resolved.recipe.losses) {
    const auto loss = make_loss(name, term.options);
    check_needs(resolved, name, term, *loss);
    REGATTA_REQUIRE(!loss->takes_one_pair() || resolved.recipe.train.batch == 1, ConfigError,
                    "/train/batch: ", resolved.recipe.train.batch, ", 1 expected: the loss '", name,
                    "' takes one pair at a time");
    term.options = loss->options();
    Json& entry = identity["losses"][name];
    entry.erase("options");
    if (Json options = loss->options_identity(); !options.empty()) {
      entry["options"] = std::move(options);
    }
  }
}

/// @param initial  the weights to start from, or null
void resolve_model(ResolvedRecipe& resolved, const SafetensorsFile* initial, Json& identity) {
  ModelChoice& choice = resolved.recipe.model;
  const auto model = make_model(choice.name, choice.options, {.without_data = true});
  choice.options = model->options();
  identity["model"] = Json::object();
  identity["model"]["name"] = choice.name;
  if (Json options = model->options_identity(); !options.empty()) {
    identity["model"]["options"] = std::move(options);
  }
  if (initial != nullptr) {
    check_parameters(model->parameters(), *initial, initial_weights_source(choice.init_from));
    if (std::string note = form_note(*initial, choice); !note.empty()) {
      resolved.notes.push_back(std::move(note));
    }
    resolved.init_from_xxh3 = initial->xxh3;
    identity["model"]["init_from"] = initial->xxh3;
  }
  const Shape3& shape = resolved.data.shape;
  resolved.parameters = model->parameters().count();
  resolved.size_multiple = model->size_multiple();
  resolved.numerical_on_cuda = model->numerical_on_cuda();
  for (const std::int64_t size : shape) {
    REGATTA_REQUIRE(size % resolved.size_multiple == 0, ConfigError, "/model/name: '", choice.name,
                    "' takes sizes that are multiples of ", resolved.size_multiple, ", the archive's volumes are ",
                    shape_text(shape), "; pack them to another shape");
  }
  resolved.mul_adds = work_of(choice.name, choice.options, shape[0], shape[1], shape[2]).total();
}

/// The splits of the fold, where one is named.
void resolve_fold(DataOptions& options) {
  if (options.fold < 0) {
    return;
  }
  const auto choose = [&](std::string& split, const std::string& name, const char* pointer) {
    const std::string of_fold = str(name, options.fold);
    REGATTA_REQUIRE(split == name || split == of_fold, ConfigError, pointer, ": '", one_line(split, 60), "' beside ",
                    "/data/fold ", options.fold, ", which takes '", of_fold, "'");
    split = of_fold;
  };
  choose(options.train_split, "train", "/data/train_split");
  choose(options.val_split, "val", "/data/val_split");
}

void resolve_data(ResolvedRecipe& resolved, const Archive& archive) {
  DataOptions& options = resolved.recipe.data;
  if (archive.modalities().size() > 1) {  // by name, so that the weights say what they were trained on
    for (std::string* name : {&options.moving_modality, &options.fixed_modality}) {
      *name = name->empty() ? archive.modalities().front() : *name;
    }
  }
  resolve_fold(options);
  DataFacts& data = resolved.data;
  data.fingerprint = archive.fingerprint();
  data.shape = archive.shape();
  data.splits = archive.splits();
  data.train = split_facts(archive, options.train_split, "/data/train_split");
  data.val = split_facts(archive, options.val_split, "/data/val_split");
  if (options.train_split == options.val_split) {
    resolved.notes.push_back(
        str("/data/val_split: '", options.val_split, "' is trained on too: its figures tell nothing of other scans"));
  } else {
    require_apart(archive, options.train_split, options.val_split);
  }
  data.label_count = archive.has_labels() ? static_cast<std::int64_t>(archive.label_ids().size()) : 0;
  const DatasetParts parts = parts_of(resolved.recipe);
  data.resident_bytes = dataset_bytes(archive, parts);
  data.subject_bytes = subject_bytes(archive, parts);
}

void resolve_metrics(ResolvedRecipe& resolved) {
  const ValidationOptions& options = resolved.recipe.validation;
  for (std::size_t i = 0; i < options.metrics.size(); ++i) {
    const std::string pointer = str("/validation/metrics/", i);
    const MetricRow& row = find_metric(options.metrics[i]);
    if (const std::string note =
            check_need(resolved.data.val, row.needs, "forward", str(pointer, ": '", row.name, "'"));
        !note.empty()) {
      resolved.notes.push_back(note);
    }
    REGATTA_REQUIRE(std::count(options.metrics.begin(), options.metrics.end(), options.metrics[i]) == 1, ConfigError,
                    pointer, ": '", row.name, "' is named twice");
  }
  resolved.best_direction = find_metric(options.best).direction;
}

void resolve_length(ResolvedRecipe& resolved) {
  TrainOptions& train = resolved.recipe.train;
  const std::int64_t pairs = train.epoch_pairs > 0 ? train.epoch_pairs : resolved.data.train.pairs;
  resolved.steps_per_epoch = (pairs + train.batch - 1) / train.batch;
  resolved.steps = train.steps > 0 ? train.steps : train.epochs * resolved.steps_per_epoch;
  std::int64_t& horizon = resolved.recipe.optim.horizon_epochs;
  if (horizon == 0) {
    horizon = std::max<std::int64_t>(1, (resolved.steps + resolved.steps_per_epoch - 1) / resolved.steps_per_epoch);
  }
}

}  // namespace

DatasetParts parts_of(const Recipe& recipe) {
  const DataOptions& data = recipe.data;
  return {{data.train_split, data.val_split}, data.moving_modality, data.fixed_modality};
}

const Archive& RecipeResolver::archive(const std::string& path) {
  const auto found = archives_.find(path);
  return found != archives_.end() ? found->second : archives_.emplace(path, Archive::open(path)).first->second;
}

const SafetensorsFile& RecipeResolver::initial_weights(const std::string& path) {
  const auto found = initial_weights_.find(path);
  if (found != initial_weights_.end()) {
    return found->second;
  }
  SafetensorsFile file = read_initial_weights(path);
  for (auto& [name, tensor] : file.tensors) {
    tensor = tensor.to(at::kMeta);
  }
  return initial_weights_.emplace(path, std::move(file)).first->second;
}

ResolvedRecipe RecipeResolver::resolve(Recipe recipe) {
  validate(recipe);
  ResolvedRecipe resolved;
  resolved.recipe = std::move(recipe);
  resolve_data(resolved, archive(resolved.recipe.data.archive));
  resolve_metrics(resolved);
  resolve_length(resolved);
  Json identity = identity_of(resolved.recipe);
  const std::string& init_from = resolved.recipe.model.init_from;
  resolve_model(resolved, init_from.empty() ? nullptr : &initial_weights(init_from), identity);
  resolve_losses(resolved, identity);
  identity["data_fingerprint"] = resolved.data.fingerprint;
  resolved.identity = std::move(identity);
  resolved.hash = hash_json(resolved.identity);
  resolved.json = write_options(resolved.recipe);
  return resolved;
}

}  // namespace regatta
