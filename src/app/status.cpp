// `regatta status SWEEP`: how far it is.
#include <chrono>
#include <iostream>
#include <thread>

#include <unistd.h>

#include "app/command.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/config/options.hpp"
#include "regatta/launch/queue.hpp"
#include "regatta/report/status.hpp"

namespace regatta::app {
namespace {

class StatusCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    auto* json = app.add_flag("--json", json_, "print JSON");
    app.add_flag("-w,--watch", watch_, "refresh until the sweep is finished, or Ctrl-C")->excludes(json);
    app.add_option("--every-s,--every", every_s_, "seconds between updates (default: 2 on a terminal, 30 in a log)")
        ->range(0.1, 86400.0);
  }

  ExitCode run() override {
    if (watch_) {
      watch();
      return ExitCode::kOk;
    }
    const SweepStatus status = read_status(sweep_);
    const SweepQueue queue = read_queue({sweep_});
    if (json_) {
      Json value = to_json(status);
      value["queue"] = to_json(queue);
      std::cout << dump_pretty(value) << std::flush;
    } else {
      std::cout << status_text(status) << queue_text(queue) << std::flush;
    }
    return ExitCode::kOk;
  }

 private:
  void watch() const {
    constexpr const char* kHomeAndClear = "\x1b[H\x1b[2J";
    constexpr auto kNap = std::chrono::milliseconds(50);
    constexpr double kAskSlurmEvery_s = 30.0;
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    const double every_s = every_s_ > 0 ? every_s_ : terminal ? 2.0 : 30.0;
    catch_leave_signals();
    std::string queue;
    double asked_s = -1e9;
    for (bool finished = false; !finished && !leave_requested();) {
      const SweepStatus status = read_status(sweep_);
      finished = status.finished;
      if (system_clock().monotonic_s() - asked_s >= kAskSlurmEvery_s) {
        asked_s = system_clock().monotonic_s();
        queue = queue_text(read_queue({sweep_}));
      }
      std::cout << (terminal ? kHomeAndClear : "") << status_text(status) << queue << std::flush;
      const double again_s = system_clock().monotonic_s() + every_s;
      while (!finished && !leave_requested() && system_clock().monotonic_s() < again_s) {
        std::this_thread::sleep_for(kNap);
      }
    }
  }

  std::string sweep_;
  bool json_ = false;
  bool watch_ = false;
  double every_s_ = 0.0;
};

}  // namespace

std::unique_ptr<Command> make_status() {
  return std::make_unique<StatusCommand>();
}

}  // namespace regatta::app
