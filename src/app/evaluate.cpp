// `regatta evaluate`: finished registrations measured from files, and methods ranked by their measures.
#include <filesystem>
#include <iostream>

#include <nlohmann/json.hpp>

#include "app/command.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/version.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/report/evaluation.hpp"
#include "regatta/train/case_evaluation.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

class Evaluate final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("PAIRS", pairs_, "JSON list of the cases: fields, labels, key-points (docs/evaluation.md)");
    app.add_option("-o,--output", output_, "write the report, or the ranking, as JSON");
    app.add_option("--device", device_, "auto, cpu or cuda:N")->capture_default_str();
    app.add_flag("--learn2reg-hd95-30", hd95_as_learn2reg_,
                 "the '30' of hd95 at its good end, the 0.3 quantile, as Learn2Reg's code has it");
    app.add_option("--rank", reports_, "rank methods by their reports (two or more) instead of measuring");
    app.add_option("--score", score_, "with --rank: METRIC[:REPEATS],... of the score; dice30, tre30: hardest 30 %");
  }

  ExitCode run() override {
    REGATTA_REQUIRE(pairs_.empty() != reports_.empty(), ConfigError,
                    "regatta evaluate: either PAIRS or --rank REPORT... is wanted");
    REGATTA_REQUIRE(score_.empty() || !reports_.empty(), ConfigError, "regatta evaluate: --score goes with --rank");
    if (reports_.empty()) {
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
    out.facts = {{"build", build_id()},
                 {"torch", torch_version_text()},
                 {"device", device_name(choose_device(device_))},
                 {"when", system_clock().utc_text()},
                 {"cases", fs::absolute(pairs_).string()},
                 {"labels", list.labels},
                 {"absent_labels", list.absent_labels},
                 {"label_edge", list.label_edge}};
    for (const std::string& name : list.metrics) {
      out.metrics.push_back(
          {name, find_metric(name).direction == Direction::kHigherIsBetter ? Better::kHigher : Better::kLower});
    }
    for (const CaseFiles& files : list.cases) {
      const CaseMeasures measures = measure_case(list, files, device_);
      EvaluatedCase one{files.name, measures.values, measures.initial, write_options(files)};
      one.facts["spacing_mm"] = measures.spacing_mm;
      one.facts.update(measures.facts);
      out.cases.push_back(std::move(one));
    }
    std::cout << evaluation_text(out);
    write(to_json(out));
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
