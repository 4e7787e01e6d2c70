// Processes by session, from /proc; files of a sweep, as the stand-in worker leaves them.
#include "e2e/sweep_process.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/clock.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"
#include "regatta/sweep/layout.hpp"

namespace regatta::test {
namespace {

double now_s() {
  return system_clock().monotonic_s();
}

std::vector<FoundProcess> processes_of_session(pid_t session) {
  std::vector<FoundProcess> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    std::ifstream file(entry.path() / "stat");
    std::string line;
    std::getline(file, line);
    const std::size_t open = line.find('(');
    const std::size_t close = line.rfind(')');
    if (open == std::string::npos || close == std::string::npos) {
      continue;
    }
    const auto fields = split(line.substr(close + 2), ' ');  // state, parent, group, session, ...
    if (fields.size() > 4 && fields[0] != "Z" && fields[0] != "X" && std::stoi(fields[3]) == session) {
      found.push_back({std::stoi(name), std::stoi(fields[1]), line.substr(open + 1, close - open - 1)});
    }
  }
  return found;
}

}  // namespace

SweepProcess::SweepProcess(const std::vector<std::string>& arguments,
                           const std::map<std::string, std::string>& environment, const fs::path& output) {
  std::vector<std::string> texts = {std::string(REGATTA_BIN_DIR) + "/regatta-launch"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& text : texts) {
    argv.push_back(text.data());
  }
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setsid();
    ::setenv("REGATTA_WORKER", REGATTA_FAKE_WORKER, 1);
    for (const auto& [name, value] : environment) {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
    const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    ::dup2(fd, STDOUT_FILENO);
    ::dup2(fd, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  if (pid_ < 0) {
    throw std::runtime_error("fork failed");
  }
}

SweepProcess::~SweepProcess() {
  for (const FoundProcess& process : processes_of_session(pid_)) {
    ::kill(process.pid, SIGKILL);
  }
  wait(10.0);
}

std::vector<FoundProcess> SweepProcess::processes() const {
  return processes_of_session(pid_);
}

bool SweepProcess::has_ended() {
  int status = 0;
  if (!ended_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    ended_ = true;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return ended_;
}

int SweepProcess::wait(double timeout_s) {
  const double end = now_s() + timeout_s;
  while (!has_ended() && now_s() < end) {
    sleep_s(0.02);
  }
  if (!ended_) {
    for (const FoundProcess& process : processes_of_session(pid_)) {
      ::kill(process.pid, SIGKILL);
    }
    return -1;
  }
  return code_;
}

std::vector<FoundProcess> SweepProcess::left_behind(double grace_s) const {
  const double end = now_s() + grace_s;
  auto left = processes_of_session(pid_);
  while (!left.empty() && now_s() < end) {
    sleep_s(0.05);
    left = processes_of_session(pid_);
  }
  return left;
}

fs::path write_job(const fs::path& folder, int weights, const std::string& more) {
  std::vector<std::string> values;
  for (int i = 1; i <= weights; ++i) {
    values.push_back(str(i));
  }
  const fs::path path = folder / "job.json";
  write_file_atomically(path, str(R"({"name": "fake", "recipe": {"data": {"archive": "none.h5"}, "losses": {"ncc": {}}},
    "axes": {"/optim/lr": {"list": [0.001, 0.002, 0.003, 0.004]}, "/losses/ncc/weight": {"list": [)",
                                  join(values, ", "), "]}}", more, "}"));
  return path;
}

std::map<std::string, std::string> fake(int steps, int ms, const std::string& modes) {
  return {{"REGATTA_FAKE",
           str(R"({"steps": )", steps, R"(, "ms": )", ms, R"(, "checkpoint_every": 10, "modes": )", modes, "}")}};
}

std::vector<std::string> results(const fs::path& sweep, int trials) {
  std::vector<std::string> values;
  for (int trial = 0; trial < trials; ++trial) {
    const fs::path file = SweepFiles{sweep}.trial(trial).result();
    values.push_back(fs::exists(file) ? result_from_json(read_json(file), file.string()).weights_xxh3 : "");
  }
  return values;
}

std::vector<std::pair<int, std::int64_t>> starts(const fs::path& sweep, int trial) {
  std::vector<std::pair<int, std::int64_t>> list;
  const TrialFiles files = SweepFiles{sweep}.trial(trial);
  for (const int number : files.attempts()) {
    std::ifstream metrics(files.metrics(number));  // real trainings: the first line says where an attempt began
    std::string line;
    if (std::getline(metrics, line)) {
      list.emplace_back(number, parse_json(line, files.metrics(number).string()).at("step").get<std::int64_t>());
    }
  }
  std::ifstream file(files.root / "starts.log");
  int attempt = 0;
  std::int64_t step = 0;
  while (file >> attempt >> step) {
    list.emplace_back(attempt, step);
  }
  return list;
}

bool has_violation(const fs::path& sweep, int trials) {
  for (int trial = 0; trial < trials; ++trial) {
    if (fs::exists(SweepFiles{sweep}.trial(trial).root / "violation")) {
      return true;
    }
  }
  return false;
}

std::string text_of(const fs::path& file) {
  return fs::exists(file) ? read_file(file) : "";
}

void sleep_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace regatta::test
