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
                 "also checkpoints of failed trials: `regatta retry` then starts them from the beginning");
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
    if (cleaned.files == 0) {
      std::cout << "nothing to remove";
    } else {
      std::cout << (options_.dry_run ? "would remove " : "removed ") << cleaned.files
                << (cleaned.files == 1 ? " file, " : " files, ") << bytes_text(static_cast<double>(cleaned.bytes));
    }
    std::cout << "; best weights, metrics and logs are kept, trials that have not ended keep their checkpoints"
              << (options_.failed ? "" : ", so do failed ones (--failed removes these too)") << std::endl;
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
