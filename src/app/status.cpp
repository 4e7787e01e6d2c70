// `regatta status SWEEP`: how far it is.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

#include <sys/ioctl.h>
#include <unistd.h>

#include "app/command.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/base/text.hpp"
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
    app.add_flag("-w,--watch", watch_, "a line for each rank, again and again until the sweep is finished, or Ctrl-C")
        ->excludes(json);
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
    constexpr auto kNap = std::chrono::milliseconds(50);
    constexpr double kAskSlurmEvery_s = 30.0;
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    const double every_s = every_s_ > 0 ? every_s_ : terminal ? 2.0 : 30.0;
    catch_leave_signals();
    std::string queue;
    double asked_s = -1e9;
    bool first = true;
    while (!leave_requested()) {
      const SweepStatus status = read_status(sweep_);
      if (system_clock().monotonic_s() - asked_s >= kAskSlurmEvery_s) {
        asked_s = system_clock().monotonic_s();
        queue = queue_text(read_queue({sweep_}));
      }
      show(status, queue, terminal, first);
      first = false;
      if (status.finished) {
        std::cout << status_text(status) << std::flush;
        return;
      }
      const double again_s = system_clock().monotonic_s() + every_s;
      while (!leave_requested() && system_clock().monotonic_s() < again_s) {
        std::this_thread::sleep_for(kNap);
      }
    }
    std::cout << "no longer watched; the sweep is not affected\n" << std::flush;
  }

  /// On a terminal over what stood there; in a log under it, with the time.
  static void show(const SweepStatus& status, const std::string& queue, bool terminal, bool first) {
    constexpr const char* kHome = "\x1b[H";
    constexpr const char* kClearLine = "\x1b[K";
    constexpr const char* kClearBelow = "\x1b[J";
    if (!terminal) {
      std::cout << system_clock().utc_text() << "  " << watch_text(status, false) << queue << std::flush;
      return;
    }
    winsize size{};
    WatchSize room;
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
      const auto queue_lines = static_cast<int>(std::count(queue.begin(), queue.end(), '\n'));
      room = {size.ws_col, std::max(0, size.ws_row - 1 - queue_lines)};
    }
    std::string text = first ? str(kHome, kClearBelow) : kHome;
    for (const char c : watch_text(status, true, room) + queue) {
      text += c == '\n' ? str(kClearLine, "\n") : std::string(1, c);
    }
    std::cout << text << kClearBelow << std::flush;
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
