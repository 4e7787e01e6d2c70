// A recipe: everything that defines one training. `regatta train` reads it, a sweep varies it, a checkpoint stores it.
// Options of models and losses stay JSON here; their own structs live in their own files in nn.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "regatta/config/options.hpp"

namespace regatta {

inline constexpr int kRecipeSchema = 1;

struct DataOptions {
  std::string archive;
  int fold = -1;
  std::string train_split = "train";
  std::string val_split = "val";
  std::string moving_modality;
  std::string fixed_modality;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("archive", s.archive, "archive made by `regatta pack`; relative to the recipe's folder", not_identity());
    v("fold", s.fold,
      "fold k of the archive's cross-validation: the splits traink and valk take the place of train and val; -1: none",
      between(-1, 99).not_identity());
    v("train_split", s.train_split, "split whose pairs are trained on");
    v("val_split", s.val_split,
      "split whose pairs are validated on, none of two scans that are both trained on; the training split itself may "
      "be named");
    v("moving_modality", s.moving_modality, "which of a subject's images is warped; empty: the archive's first");
    v("fixed_modality", s.fixed_modality, "which of a subject's images it is warped onto; empty: the archive's first");
  }
};

struct ModelChoice {
  std::string name = "voxelmorph-2";
  std::string init_from;
  Json options = Json::object();

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("name", s.name, "network; `regatta plan --models` lists them");
    v("init_from", s.init_from,
      "weights to start from (safetensors), relative to the recipe's folder; empty: drawn from the seed. Its content "
      "is "
      "part of the recipe's hash, its path is not",
      not_identity());
    v("options", s.options, "the network's own options");
  }
};

struct LossTerm {
  double weight = 1.0;
  Json options = Json::object();
  std::vector<std::string> sides = {"forward"};

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("weight", s.weight, "factor of this term in the sum", between(0.0, 1e6));
    v("sides", s.sides,
      "summed over: forward (moving onto fixed); backward, of two-directional networks; halfway, of networks that meet "
      "in the middle",
      one_of({"forward", "backward", "halfway"}));
    v("options", s.options, "the loss's own options");
  }
};

/// One row of optimizers.def.
struct OptimizerName {
  std::string name;
  bool amsgrad = false;  ///< may be asked for: it keeps second moments
  std::string help;
};

/// One row of schedules.def.
struct ScheduleName {
  std::string name;
  bool has_horizon = false;  ///< its rates depend on /optim/horizon_epochs
  std::string help;
};

const std::vector<OptimizerName>& optimizer_names();
const std::vector<ScheduleName>& schedule_names();

/// The row of a schedule. @throws ConfigError for an unknown name, listing all
const ScheduleName& find_schedule(const std::string& name);

/// The allowed names of such rows.
template <class Row>
Rule one_of_rows(const std::vector<Row>& rows) {
  std::vector<std::string> names;
  names.reserve(rows.size());
  for (const Row& row : rows) {
    names.push_back(row.name);
  }
  return one_of(std::move(names));
}

/// "NAME: HELP; NAME: HELP".
template <class Row>
std::string help_of_rows(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) {
    text += (text.empty() ? "" : "; ") + row.name + ": " + row.help;
  }
  return text;
}

struct OptimOptions {
  std::string name = "adam";
  double lr = 1e-4;
  bool amsgrad = true;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  std::string schedule = "poly";
  double power = 0.9;
  std::int64_t horizon_epochs = 0;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("name", s.name, help_of_rows(optimizer_names()).c_str(), one_of_rows(optimizer_names()));
    v("lr", s.lr, "step size of an update", between(1e-10, 10.0));
    v("amsgrad", s.amsgrad, "keep the largest second moment (AMSGrad); adamax has none: false");
    v("beta1", s.beta1, "decay of the first moment", between(0.0, 0.9999999));
    v("beta2", s.beta2, "decay of the second moment", between(0.0, 0.9999999));
    v("eps", s.eps, "added to the root of the second moment; adamax: to the size of the gradient", between(0.0, 1.0));
    v("weight_decay", s.weight_decay,
      "L2 penalty added to the gradient; adamw: an update takes lr times this fraction off the weights",
      between(0.0, 1.0));
    v("schedule", s.schedule, help_of_rows(schedule_names()).c_str(), one_of_rows(schedule_names()));
    v("power", s.power, "exponent of `poly`", between(0.0, 10.0));
    v("horizon_epochs", s.horizon_epochs, "epochs of `poly`; 0: the training's total epochs at its first start",
      between(0, 10000000));
  }
};

struct TrainOptions {
  std::int64_t epochs = 500;
  std::int64_t steps = 0;
  std::int64_t epoch_pairs = 0;
  std::string order = "shuffled";
  int batch = 1;
  std::int64_t seed = 0;
  bool flip = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("epochs", s.epochs, "passes over the training pairs, in total", between(1, 10000000).not_identity());
    v("steps", s.steps, "optimiser steps in total; 0: epochs x steps per epoch", between(0, 1000000000).not_identity());
    v("epoch_pairs", s.epoch_pairs,
      "pairs an epoch, after which rates change and validations come; 0: all of the split, else the next in an order "
      "in which each pair comes once before any comes again",
      between(0, 1000000000));
    v("order", s.order,
      "shuffled: the pairs of the split in an order drawn again after each pass over them; listed: always in the "
      "archive's order, which is that of `/pairs/explicit` where the pairs are listed",
      one_of({"shuffled", "listed"}));
    v("batch", s.batch, "pairs per step", between(1, 64));
    v("seed", s.seed, "seed of initial weights, pair order and augmentation", between(0, 9007199254740991.0));
    v("flip", s.flip, "mirror fixed and moving together along each axis with probability 1/2");
  }
};

struct ValidationOptions {
  std::int64_t every_epochs = 1;
  bool at_start = true;
  std::vector<std::string> metrics = {"dice", "ncc", "folding", "sdlogj"};
  std::string best = "dice";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("every_epochs", s.every_epochs, "validate after every N epochs, and at the end", between(1, 10000000));
    v("at_start", s.at_start, "validate before the first step too");
    v("metrics", s.metrics, "metrics measured on the validation pairs");
    v("best", s.best, "the metric by which the best checkpoint is chosen; one of `metrics`");
  }
};

struct GuardOptions {
  std::int64_t max_skips = 10;
  int rollbacks = 1;
  double lr_factor = 0.5;
  std::int64_t anchor_steps = 2000;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("max_skips", s.max_skips,
      "steps whose loss or gradient is not finite are skipped; this many in a row lead to a roll-back",
      between(1, 1000000));
    v("rollbacks", s.rollbacks,
      "how often a training goes back to its newest anchor; after that, or without an anchor, it has diverged",
      between(0, 100));
    v("lr_factor", s.lr_factor, "factor on the learning rate after a roll-back", between(1e-6, 1.0));
    v("anchor_steps", s.anchor_steps,
      "every N steps a checkpoint is made and kept until the next one: the anchor of a roll-back",
      between(1, 1000000000));
  }
};

struct CheckpointOptions {
  double every_s = 300.0;
  std::int64_t every_steps = 0;
  int keep = 2;
  bool keep_final = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("every_s", s.every_s, "seconds between checkpoints; 0: none by time", between(0.0, 1e6).not_identity());
    v("every_steps", s.every_steps, "also after every N steps; 0: only by time", between(0, 1000000000).not_identity());
    v("keep", s.keep, "newest checkpoints kept, besides the best weights", between(1, 100).not_identity());
    v("keep_final", s.keep_final,
      "a finished trial of a sweep keeps its newest checkpoint, so that the sweep can be extended by epochs",
      not_identity());
  }
};

struct RunOptions {
  std::string device = "auto";
  std::string data = "auto";
  int threads = 0;
  std::string backend = "auto";
  bool channels_last = true;
  bool tf32 = true;
  double log_every_s = 5.0;
  std::int64_t loss_every_steps = 0;
  bool log_pairs = false;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("device", s.device, "auto, cpu or cuda:N", not_identity());
    v("data", s.data,
      "resident: the device holds all volumes; streamed: those of two steps, the next ones are brought while a step "
      "runs; auto: resident where data and network fit into the device's free memory, else as many volumes as fit",
      one_of({"auto", "resident", "streamed"}).not_identity());
    v("threads", s.threads, "CPU threads; 0: decided at the first start and kept (on the CPU it decides the bits)",
      between(0, 1024).not_identity());
    v("backend", s.backend,
      "fast: our kernels and bf16 activations, on GPUs of compute capability 8.0 and above; reference: LibTorch's "
      "operators in float32; auto: fast where it can run. Later attempts keep the choice of the first",
      one_of({"auto", "fast", "reference"}).not_identity());
    v("channels_last", s.channels_last, "memory layout NDHWC of the activations");
    v("tf32", s.tf32, "TF32 in convolutions on the GPU; losses and warps stay in full precision");
    v("log_every_s", s.log_every_s, "seconds between progress lines in a log", between(0.1, 3600).not_identity());
    v("loss_every_steps", s.loss_every_steps,
      "each line of losses in metrics.jsonl is the mean of N steps; 0: 1/200 of all steps, rounded down, at least 1",
      between(0, 1000000000).not_identity());
    v("log_pairs", s.log_pairs, "write the pairs of each step, and how they were mirrored, to steps.jsonl",
      not_identity());
  }
};

struct Recipe {
  int schema = kRecipeSchema;
  DataOptions data;
  ModelChoice model;
  std::map<std::string, LossTerm> losses;
  OptimOptions optim;
  TrainOptions train;
  ValidationOptions validation;
  GuardOptions guard;
  CheckpointOptions checkpoint;
  RunOptions run;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("schema", s.schema, "version of this file's layout", between(kRecipeSchema, kRecipeSchema));
    v("data", s.data, "");
    v("model", s.model, "");
    v("losses", s.losses, "");
    v("optim", s.optim, "");
    v("train", s.train, "");
    v("validation", s.validation, "");
    v("guard", s.guard, "");
    v("checkpoint", s.checkpoint, "");
    v("run", s.run, "");
  }
};

/// Reads and checks what can be checked without nn: types, ranges, cross-field rules.
/// @param source  for messages
Recipe recipe_from_json(const Json& value, const std::string& source);

/// Rules that concern several fields. @throws ConfigError
void validate(const Recipe& recipe);

/// Options that are paths: relative to the folder of the file that they stand in.
inline constexpr std::array<const char*, 2> kPathOptions = {"/data/archive", "/model/init_from"};

/// Whether a pointer is one of `kPathOptions`.
bool is_path_option(const std::string& pointer);

/// The path as seen from anywhere; an empty one stays empty.
std::string absolute_path(const std::string& path, const std::filesystem::path& folder);

/// `absolute_path` of every path option that is a text.
void make_paths_absolute(Json& recipe, const std::filesystem::path& folder);

}  // namespace regatta
