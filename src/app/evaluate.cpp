// `regatta evaluate`: finished registrations measured from files, or trained weights on the pairs of an archive's
// split; and methods ranked by their measures.
#include <filesystem>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>

#include "app/command.hpp"
#include "app/model_argument.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/version.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/report/evaluation.hpp"
#include "regatta/train/case_evaluation.hpp"
#include "regatta/train/split_evaluation.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

class Evaluate final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("PAIRS", pairs_, "JSON list of the cases: fields, labels, key-points (docs/evaluation.md)");
    add_model_option(app, models_);
    app.add_option("--archive", archive_, "with --model: measure on the pairs of a split of this archive");
    app.add_option("--split", split_, "with --archive: the split")->capture_default_str();
    app.add_option("--metrics", metrics_,
                   "with --archive: METRIC,...; default: those that the training validated with");
    app.add_option("--method", method_, "with --archive: the method's name in the report; default: the weights' path");
    app.add_option("--refine", refine_.iterations,
                   "with --archive: instance optimisation as in `regatta register`, at most this many iterations")
        ->range(0, 100000);
    app.add_option("-o,--output", output_,
                   "write the report, or the ranking, as JSON; beside a report NAME.json also NAME_pairs.csv and "
                   "NAME_labels.csv");
    app.add_option("--device", device_, "auto, cpu or cuda:N")->capture_default_str();
    app.add_flag("--learn2reg-hd95-30", hd95_as_learn2reg_,
                 "the '30' of hd95 at its good end, the 0.3 quantile, as Learn2Reg's code has it");
    app.add_option("--rank", reports_, "rank methods by their reports (two or more) instead of measuring");
    app.add_option("--score", score_, "with --rank: METRIC[:REPEATS],... of the score; dice30, tre30: hardest 30 %");
  }

  ExitCode run() override {
    const int wanted = (pairs_.empty() ? 0 : 1) + (reports_.empty() ? 0 : 1) + (models_.empty() ? 0 : 1);
    REGATTA_REQUIRE(wanted == 1, ConfigError,
                    "regatta evaluate: one of PAIRS, --model W --archive A --split S, and --rank REPORT... is wanted");
    REGATTA_REQUIRE(models_.empty() == archive_.empty(), ConfigError,
                    "regatta evaluate: --model and --archive go together");
    REGATTA_REQUIRE(score_.empty() || !reports_.empty(), ConfigError, "regatta evaluate: --score goes with --rank");
    if (!models_.empty()) {
      measure_split();
    } else if (reports_.empty()) {
      measure();
    } else {
      rank();
    }
    return ExitCode::kOk;
  }

 private:
  void measure() const {
    const CaseList list = read_case_list(pairs_);
    set_deterministic(false);
    MethodEvaluation out;
    out.method = list.method;
    out.hd95_as_learn2reg = hd95_as_learn2reg_;
    out.facts = facts();
    out.facts.update({{"cases", fs::absolute(pairs_).string()},
                      {"labels", list.labels},
                      {"absent_labels", list.absent_labels},
                      {"label_edge", list.label_edge}});
    add_metrics(list.metrics, out);
    for (const CaseFiles& files : list.cases) {
      const CaseMeasures measures = measure_case(list, files, device_);
      EvaluatedCase one{files.name, measures.values, measures.initial, write_options(files)};
      one.facts["spacing_mm"] = measures.spacing_mm;
      one.facts.update(measures.facts);
      out.cases.push_back(std::move(one));
    }
    finish(out);
  }

  /// Build, device and time.
  Json facts() const {
    return {{"build", build_id()},
            {"torch", torch_version_text()},
            {"device", device_name(choose_device(device_))},
            {"when", system_clock().utc_text()}};
  }

  static void add_metrics(const std::vector<std::string>& names, MethodEvaluation& out) {
    for (const std::string& name : names) {
      out.metrics.push_back(
          {name, find_metric(name).direction == Direction::kHigherIsBetter ? Better::kHigher : Better::kLower});
    }
  }

  void measure_split() const {
    const Archive archive = Archive::open(archive_);
    const std::vector<fs::path> weights = weights_of(models_);
    TrainedModel trained = load_trained_ensemble(weights, device_, "auto");
    warn_of_preprocessing(trained, archive);
    std::vector<std::string> metrics = trained.recipe.validation.metrics;
    if (!metrics_.empty()) {
      metrics.clear();
      for (const std::string& name : split(metrics_, ',')) {
        metrics.emplace_back(trim(name));
      }
    }
    MethodEvaluation out;
    out.method = method_.empty() ? join(models_, " + ") : method_;
    out.hd95_as_learn2reg = hd95_as_learn2reg_;
    add_metrics(metrics, out);
    out.facts = facts();
    for (const fs::path& path : weights) {
      out.facts["weights"].push_back(fs::absolute(path).string());
    }
    out.facts.update({{"weights_xxh3", trained.weights_xxh3},
                      {"archive", fs::absolute(archive_).string()},
                      {"fingerprint", archive.fingerprint()},
                      {"split", split_},
                      {"refine", refine_.iterations}});
    std::optional<Progress> progress;
    const std::vector<SplitCase> cases =
        evaluate_split(trained, archive, split_, metrics, {device_, refine_}, [&](std::int64_t done, std::int64_t all) {
          if (!progress) {
            progress.emplace("evaluate", all, ProgressOptions::for_stderr());
          }
          progress->update(done);
        });
    progress->finish();
    for (const SplitCase& one : cases) {
      out.cases.push_back({one.name, one.values, one.initial, {{"network_s", one.network_s}}});
    }
    finish(out);
  }

  void finish(const MethodEvaluation& evaluation) const {
    std::cout << evaluation_text(evaluation);
    write(to_json(evaluation));
    if (output_.empty()) {
      return;
    }
    const std::string stem = (fs::path(output_).parent_path() / fs::path(output_).stem()).string();
    write_file_atomically(stem + "_pairs.csv", evaluation_pairs_csv(evaluation));
    write_file_atomically(stem + "_labels.csv", evaluation_labels_csv(evaluation));
    std::cout << "tables  " << stem << "_pairs.csv, " << stem << "_labels.csv\n";
  }

  void rank() const {
    std::vector<MethodEvaluation> methods;
    for (const std::string& path : reports_) {
      methods.push_back(evaluation_from_json(read_json(path), path));
    }
    const MethodRanking ranking =
        rank_methods(methods, score_.empty() ? std::vector<ScorePart>{} : parse_score(score_));
    std::cout << ranking_text(ranking);
    write(to_json(ranking));
  }

  void write(const Json& json) const {
    if (!output_.empty()) {
      write_file_atomically(output_, dump_pretty(json));
      std::cout << "written " << output_ << '\n';
    }
  }

  std::string pairs_;
  std::vector<std::string> models_;
  std::string archive_;
  std::string split_ = "test";
  std::string metrics_;
  std::string method_;
  RefineOptions refine_;
  std::string output_;
  std::string device_ = "auto";
  bool hd95_as_learn2reg_ = false;
  std::vector<std::string> reports_;
  std::string score_;
};

}  // namespace

std::unique_ptr<Command> make_evaluate() {
  return std::make_unique<Evaluate>();
}

}  // namespace regatta::app
