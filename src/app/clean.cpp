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
    app.add_flag("--failed", failed_, "also checkpoints of failed trials; `regatta retry` then starts them anew");
    app.add_flag("-n,--dry-run", dry_run_, "list the files, remove nothing");
  }

  ExitCode run() override {
    const Cleaned cleaned = clean_sweep({sweep_}, failed_, dry_run_);
    if (dry_run_) {
      for (const auto& path : cleaned.paths) {
        std::cout << path.string() << '\n';
      }
    }
    std::cout << (dry_run_ ? "would remove " : "removed ") << cleaned.files << " files, "
              << bytes_text(static_cast<double>(cleaned.bytes))
              << "; best weights, metrics and logs stay, trials that are not done are left alone" << std::endl;
    return ExitCode::kOk;
  }

 private:
  std::string sweep_;
  bool failed_ = false;
  bool dry_run_ = false;
};

}  // namespace

std::unique_ptr<Command> make_clean() {
  return std::make_unique<CleanCommand>();
}

}  // namespace regatta::app
