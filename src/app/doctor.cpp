// `regatta doctor [FOLDER]`: what a sweep would find on this machine.
#include <iomanip>
#include <iostream>

#include "app/command.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/options.hpp"
#include "regatta/launch/doctor.hpp"

namespace regatta::app {
namespace {

using Level = DoctorFinding::Level;

const char* level_name(Level level) {
  return level == Level::kGood ? "ok" : level == Level::kNote ? "note" : "FAULT";
}

class DoctorCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("folder", folder_, "folder in which sweeps will be stored")->capture_default_str();
    app.add_flag("--json", json_, "print JSON");
  }

  ExitCode run() override {
    std::vector<DoctorFinding> findings = {{Level::kGood, "program", "regatta " + build_id()}};
    std::vector<DoctorFinding> ranks = examine_ranks();  // before anything prints: every rank comes here
    if (ranks.empty()) {
      return ExitCode::kOk;  // rank 0 speaks
    }
    const auto add = [&findings](std::vector<DoctorFinding> more) {
      findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    };
    add(std::move(ranks));
    add(examine_gpus());
    findings.push_back(kernel_finding(REGATTA_KERNELS_WHY));
    add(examine_limits());
    add(examine_file_system(folder_));
    bool faulty = false;
    Json list = Json::array();
    for (const DoctorFinding& finding : findings) {
      faulty = faulty || finding.level == Level::kFault;
      if (json_) {
        list.push_back({{"level", level_name(finding.level)}, {"subject", finding.subject}, {"text", finding.text}});
      } else {
        std::cout << std::left << std::setw(6) << level_name(finding.level) << std::setw(13) << finding.subject
                  << finding.text << '\n';
      }
    }
    if (json_) {
      std::cout << dump_pretty(Json{{"schema", 1}, {"healthy", !faulty}, {"findings", list}});
    }
    std::cout << std::flush;
    return faulty ? ExitCode::kFailure : ExitCode::kOk;
  }

 private:
  std::string folder_ = ".";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_doctor() {
  return std::make_unique<DoctorCommand>();
}

}  // namespace regatta::app
