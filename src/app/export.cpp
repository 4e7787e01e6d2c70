// `regatta export SWEEP --to FORM -o OUT`: a sweep's trials in the files of other programs.
#include <iostream>

#include "app/command.hpp"
#include "regatta/base/files.hpp"
#include "regatta/report/collect.hpp"
#include "regatta/report/export.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

class ExportCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweeps", sweeps_, "directories of sweeps; may still run")->required();
    app.add_option(
           "--to", form_,
           "optuna: a journal file for optuna-dashboard and Optuna itself; csv: losses and metrics of all steps; "
           "tensorboard: a folder of event files")
        ->one_of({"optuna", "csv", "tensorboard"})
        ->required();
    app.add_option("-o,--output", output_, "the file, or the folder, to write")->required();
    app.add_flag("--force", force_, "replace it if it already exists");
    app.add_flag("--mixed", mixed_, "take sweeps together whose data, validation splits or lengths of training differ");
  }

  ExitCode run() override {
    const fs::path out(output_);
    REGATTA_REQUIRE(force_ || !fs::exists(out), ConfigError, "export: ", output_,
                    " already exists; use --force to replace it");
    const Report report = read_report({sweeps_.begin(), sweeps_.end()}, mixed_);
    if (form_ == "tensorboard") {
      write_events(report, out);
    } else {
      write_file_atomically(out, form_ == "optuna" ? optuna_journal(report) : curves_csv(report));
    }
    std::cout << "written: " << output_ << next_text() << std::endl;
    return ExitCode::kOk;
  }

 private:
  static void write_events(const Report& report, const fs::path& out) {
    const std::vector<EventFile> files = event_files(report);
    REGATTA_REQUIRE(!files.empty(), DataError, "export: no trial has begun to train: there are no curves");
    for (const EventFile& file : files) {
      make_directories((out / file.path).parent_path());
      write_file_atomically(out / file.path, file.content);
    }
  }

  std::string next_text() const {
    return form_ == "optuna"        ? str("  look at it: optuna-dashboard ", output_)
           : form_ == "tensorboard" ? str("  look at it: tensorboard --logdir ", output_)
                                    : "";
  }

  std::vector<std::string> sweeps_;
  std::string form_;
  std::string output_;
  bool force_ = false;
  bool mixed_ = false;
};

}  // namespace

std::unique_ptr<Command> make_export() {
  return std::make_unique<ExportCommand>();
}

}  // namespace regatta::app
