// The training loop: steps, log lines, validations, checkpoints, leaving. The step itself is in step.cpp, validation in
// evaluator.cpp, what is written about a run in run_record.cpp.
#include "regatta/train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <system_error>
#include <thread>
#include <utility>

#include <sched.h>

#include <ATen/ops/empty.h>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/train/evaluator.hpp"
#include "regatta/train/pair_order.hpp"
#include "train/line_log.hpp"
#include "train/numbers.hpp"
#include "train/run_record.hpp"
#include "train/step.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

constexpr double kProgressEvery_s = 0.5;
constexpr std::int64_t kLinesInAll = 200;  ///< of losses, in metrics.jsonl

/// Copies that no later step can change.
NamedTensors to_host(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) {
    at::Tensor copy = at::empty(tensor.sizes(), tensor.options().device(at::kCPU));
    copy.copy_(tensor.detach());
    copies.emplace_back(name, std::move(copy));
  }
  return copies;
}

double now_s() {
  return system_clock().monotonic_s();
}

}  // namespace

struct Trainer::Impl {
  Impl(TrainSetup given, TrainObserver& watcher)
      : setup(std::move(given)),
        observer(watcher),
        recipe(setup.resolved.recipe),
        order(recipe.train.seed, setup.resolved.data.train_pairs, recipe.train.batch),
        evaluator(recipe.validation.metrics),
        steps(setup.resolved.steps),
        log_every(std::max<std::int64_t>(1, steps / kLinesInAll)) {}

  TrainOutcome run(const Archive& data);

  // Beginning and end.
  void prepare(const Archive& data);
  void remove_leftovers();
  std::string compare_environment(const SafetensorsFile& file);
  TrainOutcome train();
  TrainOutcome leave();
  TrainOutcome diverged();
  TrainOutcome finish();
  void settle_best();

  // In the loop.
  void run_step();
  void write_loss_line();
  bool validate();
  void note_progress(std::int64_t validated, std::int64_t to_validate);
  bool is_healthy();
  bool validation_due() const;
  bool checkpoint_due() const;
  void save();
  void save_best();
  bool handle_saves();
  bool save_at_end();

  // Time in steps is measured between the other things, which synchronise with the device.
  void stop_step_time();
  double train_s() const { return ledger.train_s + (now_s() - started_s); }
  double step_s() const { return ledger.step_s + attempt_step_s + (in_steps ? now_s() - steps_since_s : 0.0); }

  TrainSetup setup;
  TrainObserver& observer;
  const Recipe& recipe;
  PairOrder order;
  Evaluator evaluator;
  std::int64_t steps;
  std::int64_t log_every;

  const Archive* archive = nullptr;
  std::optional<Dataset> data;
  std::unique_ptr<TrainingStep> step;
  std::unique_ptr<LineLog> metric_lines;
  std::unique_ptr<LineLog> pair_lines;
  std::unique_ptr<CheckpointWriter> writer;
  Json environment;
  TrainingCounters counters;
  RunLedger ledger;  ///< as it was when this attempt started
  int threads = 1;

  std::int64_t first_step = 0;       ///< at which this attempt started
  std::int64_t bad_step = -1;        ///< whose loss or gradient was not finite
  std::string bad_tensor;            ///< or: what the checkpoint's writer refused
  std::int64_t submitted_step = -1;  ///< of the newest checkpoint given to the writer
  std::int64_t submitted_validation = -1;
  std::int64_t published_step = -1;
  std::string save_error;

  double started_s = 0.0;
  double last_save_s = 0.0;
  double last_progress_s = 0.0;
  double attempt_step_s = 0.0;
  double steps_since_s = 0.0;
  bool in_steps = false;
  double logged_step_s = 0.0;
};

Trainer::Trainer(TrainSetup setup, TrainObserver& observer)
    : impl_(std::make_unique<Impl>(std::move(setup), observer)) {}

Trainer::~Trainer() = default;

TrainOutcome Trainer::run(const Archive& archive) {
  return with_torch_errors([&] { return impl_->run(archive); });
}

TrainOutcome Trainer::Impl::run(const Archive& given) {
  prepare(given);
  return train();
}

void Trainer::Impl::prepare(const Archive& given) {
  archive = &given;
  const auto loaded = load_newest_checkpoint(setup.files, setup.resolved.hash);
  threads = recipe.run.threads > 0 ? recipe.run.threads : setup.threads;
  if (loaded) {
    const Json before = parse_json(loaded->file.metadata.at("environment"), loaded->from.path.string());
    threads = threads > 0 ? threads : before.value("threads", 0);
  }
  threads = threads > 0 ? threads : usable_cores();
  set_cpu_threads(threads);
  set_deterministic(recipe.run.tf32);
  reset_peak(setup.device);
  environment = environment_of(setup.device, threads);
  data = Dataset::load(given, {recipe.data.train_split, recipe.data.val_split}, setup.device);
  step = std::make_unique<TrainingStep>(recipe, setup.device);

  StartNote note;
  ledger.started_utc = system_clock().utc_text();
  if (loaded) {
    step->load_(loaded->file, loaded->from.path.string());
    counters = loaded->counters;
    const std::string now_utc = std::exchange(ledger, loaded->ledger).started_utc;
    ledger.started_utc = ledger.started_utc.empty() ? now_utc : ledger.started_utc;
    note.resume_reason = compare_environment(loaded->file);
    const bool bitwise = note.resume_reason.empty() && ledger.resume != "numerical";
    ledger.resume = bitwise ? "bitwise" : "numerical";
    note.checkpoint = loaded->from.path.string();
    submitted_step = published_step = counters.step;
    submitted_validation = counters.validated_step;
    if (counters.best_step >= 0 && !read_best(setup.files)) {
      log_warning(setup.files.best_weights().string(),
                  ": is missing or damaged; the best weights are chosen anew from here on");
      counters.best_step = -1;
      counters.best_value = std::numeric_limits<double>::quiet_NaN();
      counters.best.clear();
    }
  }
  first_step = counters.step;
  remove_leftovers();
  make_directories(setup.files.attempt(setup.attempt));
  metric_lines = std::make_unique<LineLog>(setup.files.metrics(setup.attempt));
  pair_lines = std::make_unique<LineLog>(setup.files.pairs(setup.attempt));
  const MetricLine start{MetricLine::Kind::kStart, counters.step, order.epoch_of(counters.step), 0.0, 0.0, {}};
  metric_lines->append(metric_line_text(start));
  pair_lines->append(metric_line_text(start));
  writer = std::make_unique<CheckpointWriter>(setup.files, setup.attempt, recipe.checkpoint.keep, [this] {
    metric_lines->sync();
    pair_lines->sync();
  });
  note.step = counters.step;
  note.resume = ledger.resume;
  note.volumes = data->volumes();
  note.data_bytes = data->bytes();
  note.threads = threads;
  observer.on_start(note);
}

/// Half-written files that a killed attempt left beside recipe.json.
void Trainer::Impl::remove_leftovers() {
  std::error_code error;
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(setup.files.root, error)) {
    if (entry.path().filename().string().find(".tmp.") != std::string::npos) {
      left.push_back(entry.path());
    }
  }
  for (const std::filesystem::path& path : left) {
    std::filesystem::remove(path, error);
  }
}

/// What differs from the environment that made the checkpoint; empty if a resume is bitwise.
std::string Trainer::Impl::compare_environment(const SafetensorsFile& file) {
  return join(differences(parse_json(file.metadata.at("environment"), "checkpoint"), environment), "; ");
}

TrainOutcome Trainer::Impl::train() {
  started_s = last_save_s = last_progress_s = now_s();
  logged_step_s = step_s();
  while (true) {
    if (validation_due() && !validate()) {
      return bad_step >= 0 ? diverged() : leave();
    }
    if (!handle_saves()) {
      return diverged();
    }
    if (counters.step >= steps) {
      return finish();
    }
    if (observer.should_leave()) {
      return is_healthy() ? leave() : diverged();
    }
    if (checkpoint_due()) {
      if (!is_healthy()) {
        return diverged();
      }
      save();
    }
    run_step();
    if (bad_step >= 0) {
      return diverged();
    }
  }
}

void Trainer::Impl::run_step() {
  if (!in_steps) {
    in_steps = true;
    steps_since_s = now_s();
  }
  const std::vector<ArchivePair>& all = data->pairs(recipe.data.train_split);
  std::vector<ArchivePair> pairs;
  std::vector<Flips> flips;
  for (const std::int64_t index : order.batch_of(counters.step)) {
    if (recipe.train.flip) {
      flips.push_back(order.flips_of(counters.step, static_cast<int>(pairs.size())));
    }
    pairs.push_back(all[static_cast<std::size_t>(index)]);
  }
  step->run_(data->gather(pairs, flips), learning_rate(recipe.optim, order.epoch_of(counters.step)), counters.step + 1);
  ++counters.step;

  // On a GPU the numbers are fetched only now and then: fetching waits for the device.
  const bool line_due = counters.step % log_every == 0 || counters.step == steps;
  const bool progress_due = now_s() - last_progress_s >= kProgressEvery_s;
  if ((setup.device.is_cpu() || line_due || progress_due) && !is_healthy()) {
    return;
  }
  if (progress_due) {
    note_progress(0, 0);
  }
  if (line_due) {
    write_loss_line();
  }
}

void Trainer::Impl::write_loss_line() {
  const std::int64_t count = counters.step - counters.logged_step;
  const std::int64_t epoch = order.epoch_of(counters.step - 1);
  const double spent_s = step_s();
  MetricLine line{MetricLine::Kind::kTrain, counters.step, epoch, learning_rate(recipe.optim, epoch), 0.0, {}};
  line.values = step->mean_losses(count);
  const std::int64_t timed = counters.step - std::max(counters.logged_step, first_step);
  line.ms_per_step = 1000.0 * (spent_s - logged_step_s) / static_cast<double>(std::max<std::int64_t>(timed, 1));
  metric_lines->append(metric_line_text(line));
  step->clear_sums_();
  counters.logged_step = counters.step;
  logged_step_s = spent_s;
}

bool Trainer::Impl::is_healthy() {
  if (bad_step < 0) {
    const std::int64_t good = first_step + step->good_steps();
    bad_step = good < counters.step ? good + 1 : -1;
  }
  return bad_step < 0;
}

bool Trainer::Impl::validation_due() const {
  if (counters.validated_step == counters.step) {
    return false;
  }
  if (counters.step == 0) {
    return recipe.validation.at_start;
  }
  return counters.step % (recipe.validation.every_epochs * order.steps_per_epoch()) == 0 || counters.step == steps;
}

/// @return false if it was cut short (leave request) or the training has diverged
bool Trainer::Impl::validate() {
  if (!is_healthy()) {
    return false;
  }
  stop_step_time();
  const auto keep_going = [&](std::int64_t done, std::int64_t all) {
    if (now_s() - last_progress_s >= kProgressEvery_s) {
      note_progress(done, all);
    }
    return !observer.should_leave();
  };
  auto evaluation = evaluator.evaluate(step->model(), *data, data->pairs(recipe.data.val_split), keep_going);
  if (!evaluation) {
    return false;
  }
  const std::int64_t epoch = counters.step / order.steps_per_epoch();
  std::string lines;
  for (const PairMeasures& measures : evaluation->pairs) {
    Json line;
    line["kind"] = "pair";
    line["step"] = counters.step;
    line["moving"] = data->subject_id(measures.pair.moving);
    line["fixed"] = data->subject_id(measures.pair.fixed);
    line["values"] = numbers_to_json(measures.values);
    lines += dump_line(line) + "\n";
  }
  pair_lines->append(lines);
  metric_lines->append(
      metric_line_text({MetricLine::Kind::kValidation, counters.step, epoch, 0.0, 0.0, evaluation->means}));

  ValidationNote note{counters.step, epoch, evaluation->means, false};
  counters.validated_step = counters.step;
  counters.last = evaluation->means;
  if (counters.initial.empty()) {
    counters.initial = evaluation->means;
  }
  const double value = evaluation->means.at(recipe.validation.best);
  if (is_better(value, counters.best_value, setup.resolved.best_direction)) {
    note.is_best = true;
    counters.best_step = counters.step;
    counters.best_value = value;
    counters.best = evaluation->means;
    save_best();
  }
  observer.on_validation(note);
  return true;
}

void Trainer::Impl::note_progress(std::int64_t validated, std::int64_t to_validate) {
  const double now = now_s();
  const std::int64_t done = counters.step - first_step;
  TrainProgress progress;
  progress.step = counters.step;
  progress.steps = steps;
  progress.epoch = order.epoch_of(std::max<std::int64_t>(counters.step - 1, 0));
  progress.epochs = (steps + order.steps_per_epoch() - 1) / order.steps_per_epoch();
  progress.lr = learning_rate(recipe.optim, progress.epoch);
  if (counters.step > counters.logged_step) {
    progress.losses = step->mean_losses(counters.step - counters.logged_step);
  }
  if (done > 0) {
    progress.ms_per_step = 1000.0 * (step_s() - ledger.step_s) / static_cast<double>(done);
    progress.eta_s = (now - started_s) / static_cast<double>(done) * static_cast<double>(steps - counters.step);
  }
  progress.validated = validated;
  progress.to_validate = to_validate;
  last_progress_s = now;
  observer.on_progress(progress);
}

void Trainer::Impl::stop_step_time() {
  if (in_steps) {
    synchronize(setup.device);
    attempt_step_s += now_s() - steps_since_s;
    in_steps = false;
  }
}

bool Trainer::Impl::checkpoint_due() const {
  if (counters.step == submitted_step || counters.step == 0 || writer->busy()) {
    return false;
  }
  const std::int64_t since = counters.step - std::max(submitted_step, first_step);
  const CheckpointOptions& options = recipe.checkpoint;
  return (options.every_steps > 0 && since >= options.every_steps) ||
         (options.every_s > 0.0 && now_s() - last_save_s >= options.every_s);
}

void Trainer::Impl::save() {
  stop_step_time();
  Snapshot snapshot;
  snapshot.counters = counters;
  snapshot.ledger = {ledger.started_utc, train_s(), step_s(), ledger.resume};
  snapshot.tensors = to_host(step->state());
  snapshot.metadata = checkpoint_metadata(setup.resolved, counters, environment);
  writer->submit(std::move(snapshot));
  submitted_step = counters.step;
  submitted_validation = counters.validated_step;
  last_save_s = now_s();
}

void Trainer::Impl::save_best() {
  writer->submit(
      BestWeights{counters.best_step, to_host(step->weights()), best_metadata(setup.resolved, *archive, counters)});
}

/// Looks at the saves that have ended. @return false if one was refused because it was not finite
bool Trainer::Impl::handle_saves() {
  for (const SaveEvent& event : writer->take_events()) {
    if (event.non_finite) {
      bad_step = event.step;
      bad_tensor = event.error;
      return false;
    }
    if (!event.error.empty()) {
      log_warning("step ", event.step, ": could not save, training goes on: ", event.error);
      save_error = event.error;
    } else if (!event.is_best) {
      published_step = event.step;
      save_error.clear();
      observer.on_checkpoint({event.step, event.file.string(), event.save_s});
    }
  }
  return true;
}

/// Waits for the writer; saves what is not saved yet. @return false if a save was refused because it was not finite
bool Trainer::Impl::save_at_end() {
  writer->drain();
  if (!handle_saves()) {
    return false;
  }
  const bool is_new = counters.step != submitted_step || counters.validated_step != submitted_validation;
  if (counters.step > 0 && (is_new || !save_error.empty())) {
    save();
    writer->drain();
  }
  return handle_saves();
}

TrainOutcome Trainer::Impl::leave() {
  if (!save_at_end()) {
    return diverged();
  }
  std::string message = str("saved at step ", published_step);
  if (published_step < 0) {
    message = counters.step > 0 ? str("could not save: ", save_error) : "nothing to save before the first step";
  } else if (published_step < counters.step) {
    message += str("; could not save step ", counters.step, ": ", save_error);
  }
  return {AttemptStatus::kPaused, std::max<std::int64_t>(published_step, 0), message, std::nullopt};
}

TrainOutcome Trainer::Impl::diverged() {
  writer->drain();
  handle_saves();
  std::string message = bad_tensor;
  if (message.empty()) {
    std::vector<std::string> names;
    for (const std::int64_t index : order.batch_of(bad_step - 1)) {
      names.push_back(data->pair_text(data->pairs(recipe.data.train_split)[static_cast<std::size_t>(index)]));
    }
    message = str("loss or gradient is not finite; ", join(names, "; "), "; learning rate ",
                  learning_rate(recipe.optim, order.epoch_of(bad_step - 1)));
  }
  return {AttemptStatus::kDiverged, bad_step, str("step ", bad_step, ": ", message), std::nullopt};
}

/// Makes best.safetensors and the counters agree, whatever earlier attempts left behind.
void Trainer::Impl::settle_best() {
  if (counters.best_step < 0) {
    log_warning("'", recipe.validation.best, "' was never a number; best.safetensors holds the last weights");
    counters.best_step = counters.step;
    counters.best = counters.last;
    save_best();
    writer->drain();
    handle_saves();
  }
  const auto on_disk = read_best(setup.files);
  REGATTA_REQUIRE(on_disk.has_value(), DataError, setup.files.best_weights().string(), ": could not be written",
                  save_error.empty() ? "" : ": ", save_error);
  if (on_disk->step != counters.best_step) {  // after a resume that was not bitwise
    log_warning("best.safetensors is of step ", on_disk->step,
                ", which an attempt reached that was lost; kept as the best");
    counters.best_step = on_disk->step;
    counters.best = on_disk->metrics;
  }
}

TrainOutcome Trainer::Impl::finish() {
  stop_step_time();
  if (!save_at_end()) {
    return diverged();
  }
  REGATTA_REQUIRE(save_error.empty(), DataError, "the final checkpoint could not be written: ", save_error);
  settle_best();
  const RunLedger end{ledger.started_utc, train_s(), step_s(), ledger.resume};
  TrialResult result = make_result(setup, counters, end);
  write_file_atomically(setup.files.result(), dump_pretty(to_json(result)));
  return {AttemptStatus::kOk, counters.step, "", std::move(result)};
}

std::optional<TrialResult> finished_result(const TrialFiles& files, const ResolvedRecipe& resolved) {
  std::error_code error;
  if (!std::filesystem::exists(files.result(), error) || !std::filesystem::exists(files.best_weights(), error)) {
    return std::nullopt;
  }
  TrialResult result = result_from_json(read_json(files.result()), files.result().string());
  REGATTA_REQUIRE(result.recipe_hash == resolved.hash, ConfigError, files.result().string(), ": is of recipe ",
                  result.recipe_hash, ", this one is ", resolved.hash);
  if (result.steps < resolved.steps) {
    return std::nullopt;
  }
  return result;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace regatta
