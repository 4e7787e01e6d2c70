// `regatta clean SWEEP`: removes what the retention rule does not keep.
#include <iostream>

#include "app/command.hpp"
#include "regatta/sweep/steer.hpp"

namespace regatta::app {
namespace {

class CleanCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    app.add_flag("--failed", options_.failed,
                 "also checkpoints of failed trials; `regatta retry` then starts them anew");
    app.add_flag("--final", options_.final,
                 "also checkpoints that finished trials keep (/checkpoint/keep_final); the sweep can then not be "
                 "extended by epochs");
    app.add_flag("-n,--dry-run", options_.dry_run, "list the files, remove nothing");
  }

  ExitCode run() override {
    const Cleaned cleaned = clean_sweep({sweep_}, options_);
    if (options_.dry_run) {
      for (const auto& path : cleaned.paths) {
        std::cout << path.string() << '\n';
      }
    }
    std::cout << (options_.dry_run ? "would remove " : "removed ") << cleaned.files << " files, "
              << bytes_text(static_cast<double>(cleaned.bytes))
              << "; best weights, metrics and logs stay, trials that are not done are left alone" << std::endl;
    return ExitCode::kOk;
  }

 private:
  std::string sweep_;
  CleanOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_clean() {
  return std::make_unique<CleanCommand>();
}

}  // namespace regatta::app
