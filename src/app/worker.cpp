// `regatta worker --fd N`: the process that a sweep's supervisor starts for one trial. The work is in train/worker.
#include "regatta/train/worker.hpp"
#include "app/command.hpp"

namespace regatta::app {
namespace {

class Worker final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("--fd", fd_, "descriptor of the socket to the supervisor")->required()->range(0, 65535);
  }

  ExitCode run() override { return run_worker(fd_); }

 private:
  int fd_ = -1;
};

}  // namespace

std::unique_ptr<Command> make_worker() {
  return std::make_unique<Worker>();
}

}  // namespace regatta::app
