#include "regatta/sweep/plan_table.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/config/objectives.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/config/value_text.hpp"
#include "regatta/sweep/repeats.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kBytesPerValue = 4;
constexpr std::int64_t kFilesPerTrial =
    10;  // recipe, result, weights; an attempt's metrics, pairs, log, manifest, folders

/// Weights, first and second moment, and with AMSGrad the largest second moment.
std::int64_t checkpoint_bytes(const Recipe& recipe, std::int64_t parameters) {
  return parameters * kBytesPerValue * (recipe.optim.amsgrad ? 4 : 3);
}

/// Columns as wide as their widest cell, two blanks between.
std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      text += row[i] + (last ? "\n" : std::string(widths[i] - row[i].size() + 2, ' '));
    }
  }
  return text;
}

/// "398.81 G"
std::string giga_text(double count) {
  const double hundredths = std::round(count / 1e7);
  const auto whole = static_cast<std::int64_t>(hundredths / 100.0);
  const auto rest = static_cast<std::int64_t>(hundredths) % 100;
  return str(whole, rest < 10 ? ".0" : ".", rest, " G");
}

std::string sampler_names() {
  std::vector<std::string> names;
  for (const SamplerRow& row : sampler_rows()) {
    names.emplace_back(row.name);
  }
  return join(names, ", ");
}

/// "objective dice (maximise)  ", of several objectives or with constraints a line each.
std::string objective_lines(const JobOptions& job) {
  const std::vector<RankedObjective> objectives = objectives_of(job);
  const std::string constraints = constraints_text(constraints_of(job));
  const bool several = objectives.size() > 1 || !constraints.empty();
  return str(objectives.size() > 1 ? "objectives " : "objective ", objectives_text(objectives), several ? "\n" : "  ",
             constraints.empty() ? "" : str("constraints ", constraints, "\n"));
}

std::string scheduler_names() {
  std::vector<std::string> names;
  for (const SchedulerRow& row : scheduler_rows()) {
    names.emplace_back(row.name);
  }
  return join(names, ", ");
}

/// The rungs of a planned sweep, and how many trials reach each.
std::vector<RungRow> rungs_of_plan(const SweepDefinition& definition, const std::vector<TrialPlan>& plans) {
  const std::vector<std::int64_t> rungs = rungs_of(definition);
  std::set<std::string> points;
  std::int64_t climbers = 0;
  for (const TrialPlan& plan : plans) {
    Point point = plan.trial.point;
    point.erase(kFoldAxis);
    points.insert(definition.job.axes.contains(kFoldAxis) ? point_key(point) : str(plan.trial.index));
    climbers += plan.trial.replicate == 0 ? 1 : 0;
  }
  const auto count = static_cast<std::int64_t>(points.size());
  return rungs.empty() || count == 0
             ? std::vector<RungRow>()
             : rung_table(definition.job.scheduler, rungs, epochs_of(definition), count,
                          std::max<std::int64_t>(1, climbers / count), definition.job.replicates);
}

/// "rung 1 ..." and what all of it costs, against training everything to its end.
std::string rungs_text(const SweepDefinition& definition, const std::vector<TrialPlan>& plans) {
  const std::vector<RungRow> rungs = rungs_of_plan(definition, plans);
  if (rungs.empty()) {
    return "";
  }
  const SchedulerOptions& options = definition.job.scheduler;
  const std::int64_t per_epoch = epoch_steps(definition.base);
  std::vector<std::vector<std::string>> rows = {{"rung", "epochs", "steps", "points", "trials", "epochs trained"}};
  std::int64_t epochs = 0;
  for (std::size_t i = 0; i < rungs.size(); ++i) {
    const bool is_end = i + 1 == rungs.size();
    rows.push_back({is_end ? "end" : str(i), str(rungs[i].epochs),
                    str(is_end ? definition.base.steps : rungs[i].epochs * per_epoch), str(rungs[i].points),
                    str(rungs[i].trials), str(rungs[i].epochs_more)});
    epochs += rungs[i].epochs_more;
  }
  const std::int64_t whole = static_cast<std::int64_t>(plans.size()) * epochs_of(definition);
  return str("scheduler ", options.name, ", eta ", options.eta, ", form ", options.form,
             options.form == "stop" ? ": a trial that reaches a rung continues if it is in the best 1/"
                                    : ": trials wait at a rung with a checkpoint; the best 1/",
             options.eta,
             options.form == "stop" ? " there then, else it ends\n" : " continue, in whichever job is next\n",
             table_text(rows), "cost    ", epochs, " epochs, ", 100 * epochs / std::max<std::int64_t>(1, whole),
             " % of the ", whole,
             " that all trials take to their end; promotions made before all results are in can "
             "add some\n\n");
}

std::string data_text(const SweepDefinition& definition) {
  const Json& data = definition.base.data;
  const auto member = [&data](const char* pointer) {
    const Json* found = find_pointer(data, pointer);
    return found == nullptr ? std::string("?") : value_text(*found);
  };
  const Json* archive = find_pointer(definition.job.recipe, "/data/archive");
  return str(archive == nullptr ? "?" : value_text(*archive), "  shape ", member("/shape"), ", ",
             member("/train_pairs"), " training and ", member("/val_pairs"), " validation pairs, fingerprint ",
             member("/fingerprint"));
}

/// Of the job and of all trials, each once.
std::vector<std::string> notes_of(const SweepDefinition& definition, const std::vector<TrialPlan>& plans) {
  std::vector<std::string> notes = definition.notes;
  std::set<std::string> of_trials;
  for (const TrialPlan& plan : plans) {
    of_trials.insert(plan.description.notes.begin(), plan.description.notes.end());
  }
  notes.insert(notes.end(), of_trials.begin(), of_trials.end());
  const std::vector<std::string> repeats = repeated_trials(plans);
  notes.insert(notes.end(), repeats.begin(), repeats.end());
  return notes;
}

/// A line per kind of trial: by which backend memory is told, and what of a step runs by reference there.
std::string backend_text(const std::vector<TrialPlan>& plans) {
  std::vector<std::pair<std::string, std::vector<std::string>>> kinds;  // with the names of their trials
  bool is_auto = false;
  for (const TrialPlan& plan : plans) {
    const std::string& text = plan.description.backend;
    auto kind = std::find_if(kinds.begin(), kinds.end(), [&text](const auto& one) { return one.first == text; });
    if (kind == kinds.end()) {
      kind = kinds.insert(kinds.end(), {text, {}});
    }
    kind->second.push_back(trial_name(plan.trial.number));
    const Json* chosen = find_pointer(plan.description.resolved, "/run/backend");
    is_auto = is_auto || (chosen != nullptr && *chosen == "auto" && text.rfind("fast", 0) == 0);
  }
  std::string lines;
  for (const auto& [text, trials] : kinds) {
    if (text.empty()) {  // not told
      continue;
    }
    const bool one_kind = kinds.size() == 1;
    const std::string who = trials.size() == 1 ? trials.front() : str(trials.size(), " trials from ", trials.front());
    lines += str(lines.empty() ? "backend " : "        ", one_kind ? "" : who + ": ", text, "\n");
  }
  return is_auto
             ? lines + "        memory and backend: auto is priced as fast (GPUs of compute capability 8.0 and above)\n"
             : lines;
}

/// A row of the table is a trial whose point is known: with a sampler that reads the history those that it draws before
/// results count.
bool is_known(const SweepDefinition& definition, const Space& space, const TrialPoint& trial) {
  const std::int64_t drawn = definition.job.warm_start.empty() ? definition.job.tpe.startup : 0;
  return !trial.open || trial.index / space.folds() < space.enqueued() + drawn;
}

/// Lines of work, memory, disk and time.
std::string totals_text(const PlanTotals& totals, const std::string& backend, const std::optional<PlanTime>& time) {
  const auto bytes = [](std::int64_t count) { return bytes_text(static_cast<double>(count)); };
  std::string text = str(totals.trials, totals.trials == 1 ? " trial, " : " trials, ", totals.steps, " steps in all\n",
                         "memory  up to ", bytes(totals.most_device_bytes), " on the GPU per trial");
  if (totals.least_device_bytes < totals.most_device_bytes) {
    text += str("; ", bytes(totals.least_device_bytes),
                " if the volumes are streamed, which is automatic where they do not fit (/run/data)");
  }
  text += str("\n", backend, "disk    ", bytes(totals.kept_bytes), " in about ", totals.files,
              " files at the end; until then up to ", bytes(totals.running_bytes), " more per running trial\n");
  return text + (time ? plan_time_text(*time)
                      : std::string("time    not known; --measure trains a few steps here to forecast it, --bench FILE "
                                    "uses a file of `regatta bench networks`\n"));
}

}  // namespace

PlanTotals plan_totals(const std::vector<TrialPlan>& plans) {
  PlanTotals totals;
  totals.trials = static_cast<std::int64_t>(plans.size());
  for (const TrialPlan& plan : plans) {
    const Recipe recipe = recipe_from_json(plan.description.resolved, trial_name(plan.trial.number));
    const std::int64_t weights = plan.description.parameters * kBytesPerValue;
    const std::int64_t running =
        checkpoint_bytes(recipe, plan.description.parameters) * (recipe.checkpoint.keep + 1) + weights;
    totals.steps += plan.description.steps;
    const bool has_anchor = plan.description.steps > recipe.guard.anchor_steps;
    const std::int64_t final_checkpoints = recipe.checkpoint.keep_final ? (has_anchor ? 2 : 1) : 0;
    totals.kept_bytes += weights + final_checkpoints * checkpoint_bytes(recipe, plan.description.parameters);
    totals.running_bytes = std::max(totals.running_bytes, running);
    totals.most_device_bytes = std::max(totals.most_device_bytes, plan.description.forecast_bytes);
    totals.least_device_bytes = std::max(totals.least_device_bytes, plan.description.least_bytes);
    totals.files += kFilesPerTrial;
  }
  return totals;
}

std::string plan_text(const SweepDefinition& definition, const std::vector<TrialPlan>& plans,
                      const std::optional<PlanTime>& time) {
  const JobOptions& job = definition.job;
  std::vector<std::string> pointers;
  std::vector<Axis> axes;
  for (const auto& [pointer, axis] : job.axes) {
    pointers.push_back(pointer);
    axes.emplace_back(pointer, axis);
  }
  const auto titles = axis_titles(pointers);
  std::vector<std::vector<std::string>> rows(1);
  rows[0] = {"trial"};
  for (const std::string& pointer : pointers) {
    rows[0].push_back(titles.at(pointer));
  }
  for (const char* title : {"seed", "parameters", "steps", "memory"}) {
    rows[0].emplace_back(title);
  }
  if (time) {
    rows[0].emplace_back("time");
  }
  const Space space(job);
  std::int64_t unknown = 0;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const TrialPlan& plan = plans[i];
    if (!is_known(definition, space, plan.trial)) {
      ++unknown;
      continue;
    }
    std::vector<std::string> row = {trial_name(plan.trial.number)};
    for (const Axis& axis : axes) {
      const auto value = plan.trial.point.find(axis.pointer());
      row.push_back(value == plan.trial.point.end() ? "-" : axis.text(value->second));
    }
    const auto memory = static_cast<double>(plan.description.forecast_bytes);
    row.insert(row.end(),
               {str(plan.seed), str(plan.description.parameters), str(plan.description.steps), bytes_text(memory)});
    if (time) {
      const auto seconds = time->trial_s.at(i);
      row.push_back(seconds ? duration_text(*seconds) : "?");
    }
    rows.push_back(std::move(row));
  }
  const std::string rest = unknown == 0
                               ? std::string()
                               : str(unknown, unknown == 1 ? " trial" : " trials",
                                     rows.size() > 1 ? " more, whose points " : ", whose points ", job.sampler,
                                     " decides on as results come; what follows counts them as random points\n");
  std::string notes;
  for (const std::string& note : notes_of(definition, plans)) {
    notes += str("note: ", note, '\n');
  }
  for (const std::string& note : time ? time->notes : std::vector<std::string>()) {
    notes += str("note: ", note, '\n');
  }
  return str("sweep ", job.name, "  experiment ", definition.hash, "\n", objective_lines(job), "sampler ", job.sampler,
             " (available: ", sampler_names(), ")  scheduler ", job.scheduler.name, " (available: ", scheduler_names(),
             ")  replicates ", job.replicates, "\ndata ", data_text(definition), "\n\n", table_text(rows), rest, "\n",
             rungs_text(definition, plans), totals_text(plan_totals(plans), backend_text(plans), time), notes);
}

std::string models_text(const Json& answer) {
  const Json* models = answer.is_object() ? find_pointer(answer, "/models") : nullptr;
  const Json* size = answer.is_object() ? find_pointer(answer, "/size") : nullptr;
  REGATTA_REQUIRE(models != nullptr && models->is_array() && size != nullptr && size->is_array(), DataError,
                  "describe --models: expected {\"size\": [D, H, W], \"models\": [...]}");
  std::vector<std::vector<std::string>> rows = {
      {"network", "parameters", "mul-adds", "published", "training", "inference", "sizes", ""}};
  for (const Json& model : *models) {
    std::vector<const char*> needed = {"name", "parameters", "size_multiple", "help"};
    const bool fits = !model.is_object() || !model.contains("error");
    if (fits) {
      needed.insert(needed.end(), {"mul_adds", "mul_adds_published", "training_bytes", "inference_bytes"});
    }
    for (const char* name : needed) {
      REGATTA_REQUIRE(model.is_object() && model.contains(name), DataError, "describe --models: a model without '",
                      name, "'");
    }
    std::vector<std::string> row = {value_text(model.at("name")), value_text(model.at("parameters"))};
    if (fits) {
      row.push_back(giga_text(model.at("mul_adds").get<double>()));
      row.push_back(giga_text(model.at("mul_adds_published").get<double>()));
      row.push_back(bytes_text(model.at("training_bytes").get<double>()));
      row.push_back(bytes_text(model.at("inference_bytes").get<double>()));
    } else {
      row.insert(row.end(), 4, "-");
    }
    row.push_back(str("x", value_text(model.at("size_multiple"))));
    row.push_back(fits ? value_text(model.at("help")) : str("not at this size: ", value_text(model.at("error"))));
    rows.push_back(std::move(row));
  }
  std::vector<std::string> edges;
  for (const Json& edge : *size) {
    edges.push_back(value_text(edge));
  }
  return str("one pair of ", join(edges, "x"),
             "; training: NCC 9 + squared differences of the field, Adam with AMSGrad, batch 1\n"
             "mul-adds: all of a forward pass; published: as the tools behind published tables count\n\n",
             table_text(rows));
}

Json plan_json(const SweepDefinition& definition, const std::vector<TrialPlan>& plans,
               const std::optional<PlanTime>& time) {
  const PlanTotals totals = plan_totals(plans);
  const Space space(definition.job);
  Json trials = Json::array();
  for (const TrialPlan& plan : plans) {
    Json point = Json::object();
    for (const auto& [pointer, value] : plan.trial.point) {
      point[pointer] = value;
    }
    trials.push_back({{"trial", plan.trial.number},
                      {"point", point},
                      {"known", is_known(definition, space, plan.trial)},
                      {"replicate", plan.trial.replicate},
                      {"seed", plan.seed},
                      {"recipe_hash", plan.description.hash},
                      {"parameters", plan.description.parameters},
                      {"mul_adds", plan.description.mul_adds},
                      {"steps", plan.description.steps},
                      {"forecast_bytes", plan.description.forecast_bytes},
                      {"least_bytes", plan.description.least_bytes},
                      {"backend", plan.description.backend},
                      {"recipe", plan.description.resolved}});
  }
  Json samplers = Json::object();
  for (const SamplerRow& row : sampler_rows()) {
    samplers[row.name] = row.help;
  }
  Json schedulers = Json::object();
  for (const SchedulerRow& row : scheduler_rows()) {
    schedulers[row.name] = row.help;
  }
  Json rungs = Json::array();
  for (const RungRow& row : rungs_of_plan(definition, plans)) {
    rungs.push_back(
        {{"epochs", row.epochs}, {"points", row.points}, {"trials", row.trials}, {"epochs_trained", row.epochs_more}});
  }
  return {{"schema", kPlanSchema},
          {"name", definition.job.name},
          {"hash", definition.hash},
          {"identity", definition.identity},
          {"objective", write_options(definition.job.objective)},
          {"objectives", definition.job.objectives},
          {"constraints", definition.job.constraints},
          {"data", definition.base.data},
          {"notes", notes_of(definition, plans)},
          {"totals",
           {{"trials", totals.trials},
            {"steps", totals.steps},
            {"most_device_bytes", totals.most_device_bytes},
            {"least_device_bytes", totals.least_device_bytes},
            {"kept_bytes", totals.kept_bytes},
            {"running_bytes", totals.running_bytes},
            {"files", totals.files}}},
          {"time", time ? to_json(*time) : Json()},
          {"samplers", samplers},
          {"schedulers", schedulers},
          {"rungs", rungs},
          {"trials", trials}};
}

}  // namespace regatta
