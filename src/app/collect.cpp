// `regatta collect SWEEP...`: report.json, leaderboard.csv, report.html, and the table on the terminal.
#include <iostream>

#include "app/command.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/report/collect.hpp"
#include "regatta/report/compare.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

class CollectCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweeps", sweeps_, "directories of sweeps, running or finished");
    app.add_flag("--compare", compare_,
                 "compare two reports instead of collecting: report.json files, or folders with one");
    app.add_option("-o,--output", output_,
                   "directory of the report (default: the sweep's own; needed for several sweeps)");
    app.add_option("--json", json_, "write the JSON here instead of report.json");
    app.add_flag("--no-html", no_html_, "do not write report.html");
    app.add_flag("--mixed", mixed_,
                 "rank sweeps together whose data, validation splits or lengths of training differ; the report names "
                 "the differences");
    app.add_option("--rows", rows_, "number of rows of the table on the terminal; 0: all")->capture_default_str();
  }

  ExitCode run() override {
    if (compare_) {
      return compare();
    }
    REGATTA_REQUIRE(!sweeps_.empty(), ConfigError, "collect: name at least one sweep");
    REGATTA_REQUIRE(sweeps_.size() == 1 || !output_.empty(), ConfigError, "collect: ", sweeps_.size(),
                    " sweeps; say with -o DIR where their common report goes");
    const Report report = read_report({sweeps_.begin(), sweeps_.end()}, mixed_);
    const fs::path directory = output_.empty() ? fs::path(sweeps_.front()) : fs::path(output_);
    make_directories(directory);
    ReportFiles files = report_files_in(directory);
    if (!json_.empty()) {
      files.json = json_;
    }
    if (no_html_) {
      files.html.clear();
    }
    write_report(report, files);
    print_leaderboard(std::cout, report, rows_);
    std::cout << "\nwritten: " << files.json.string() << "  " << files.csv.string() << " (with "
              << files.labels.filename().string() << ", " << files.pairs.filename().string() << ", "
              << files.hardest.filename().string() << ")";
    if (!files.html.empty()) {
      std::cout << "  " << files.html.string();
    }
    std::cout << std::endl;
    return ExitCode::kOk;
  }

 private:
  ExitCode compare() const {
    REGATTA_REQUIRE(sweeps_.size() == 2, ConfigError, "collect --compare: two reports are wanted, got ",
                    sweeps_.size());
    REGATTA_REQUIRE(output_.empty() && !mixed_ && !no_html_, ConfigError,
                    "collect --compare: takes --json FILE, no other option");
    const auto read = [](const std::string& name) {
      const fs::path path = fs::is_directory(name) ? fs::path(name) / "report.json" : fs::path(name);
      REGATTA_REQUIRE(fs::exists(path), DataError, path.string(), ": is missing",
                      fs::is_directory(name) ? "; make it by: regatta collect " + shell_quote(name) : "");
      return read_json(path);
    };
    const ReportComparison comparison =
        compare_reports(read(sweeps_.front()), read(sweeps_.back()), sweeps_.front(), sweeps_.back());
    std::cout << "A: " << sweeps_.front() << "\nB: " << sweeps_.back() << "\n\n" << comparison_text(comparison);
    if (!json_.empty()) {
      write_file_atomically(json_, dump_pretty(to_json(comparison)));
      std::cout << "\nwritten: " << json_ << '\n';
    }
    std::cout << std::flush;
    return ExitCode::kOk;
  }

  std::vector<std::string> sweeps_;
  bool compare_ = false;
  std::string output_;
  std::string json_;
  std::size_t rows_ = 40;
  bool no_html_ = false;
  bool mixed_ = false;
};

}  // namespace

std::unique_ptr<Command> make_collect() {
  return std::make_unique<CollectCommand>();
}

}  // namespace regatta::app
