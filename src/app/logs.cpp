// `regatta logs SWEEP TRIAL`: what a trial's process printed.
#include <chrono>
#include <fstream>
#include <iostream>
#include <thread>

#include "app/command.hpp"
#include "app/trial_argument.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/report/trial_log.hpp"

namespace regatta::app {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(500);

class LogsCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    app.add_option("trial", trial_, "42 or t00042")->required();
    app.add_option("--attempt", attempt_, "show this attempt (default: the newest)")->range(1, 1000000);
    app.add_option("-n,--lines", lines_, "number of lines; 0: all")->capture_default_str();
    app.add_flag("-f,--follow", follow_, "follow the log until the attempt ends");
  }

  ExitCode run() override {
    const std::int64_t number = trial_number(trial_);
    const TrialLog log = find_trial_log(sweep_, number, attempt_);
    std::cout << log.name << "  " << log.status;
    if (log.attempt > 0) {
      std::cout << "  attempt " << log.attempt << " of " << log.attempts << "  " << log.file.string();
    }
    std::cout << '\n';
    if (!log.message.empty()) {
      std::cout << (log.status == "running" ? "an earlier attempt ended: " : "reason: ") << log.message << '\n';
    }
    if (!log.reproduce.empty()) {
      std::cout << "the same training alone: " << log.reproduce << '\n';
    }
    if (log.attempt == 0) {
      std::cout << "not started yet: there is no log\n";
    } else {
      std::cout << '\n';
      print(log.file);
      if (follow_) {
        follow(log, number);
      }
    }
    std::cout << std::flush;
    return ExitCode::kOk;
  }

 private:
  void print(const std::filesystem::path& file) {
    std::error_code error;
    if (std::filesystem::file_size(file, error) == 0 || error) {
      std::cout << "the log is " << (error ? "missing" : "empty") << '\n';
      return;
    }
    if (lines_ > 0) {
      for (const std::string& line : last_lines_of(file, lines_)) {
        std::cout << line << '\n';
      }
      return;
    }
    std::ifstream in(file);
    std::cout << in.rdbuf();
    std::cout.clear();  // an empty file sets the failure bit
  }

  void follow(const TrialLog& log, std::int64_t number) const {
    catch_leave_signals();
    std::ifstream in(log.file, std::ios::ate);
    bool running = true;
    while (running && !leave_requested()) {
      std::this_thread::sleep_for(kLookAgain);
      const TrialLog now = find_trial_log(sweep_, number, log.attempt);
      running = now.status == "running" && now.attempts == log.attempt;
      in.clear();
      std::cout << in.rdbuf() << std::flush;
      std::cout.clear();
    }
  }

  std::string sweep_;
  std::string trial_;
  int attempt_ = 0;
  std::size_t lines_ = 40;
  bool follow_ = false;
};

}  // namespace

std::unique_ptr<Command> make_logs() {
  return std::make_unique<LogsCommand>();
}

}  // namespace regatta::app
