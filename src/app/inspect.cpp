// `regatta inspect ARCHIVE`: what is in an archive and what looks wrong in it. The measures and rules are in
// volume/inspection.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "app/command.hpp"
#include "app/inspection_text.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/config/options.hpp"
#include "regatta/volume/qc.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostTiles = 1000;  // of the picture sheet

/// Subjects for the sheet: those with findings, and others at equal distances, kMostTiles in all.
std::vector<std::size_t> shown_subjects(const Inspection& inspection) {
  const auto& subjects = inspection.subjects;
  std::vector<std::size_t> odd;
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    (subjects[i].findings.empty() ? others : odd).push_back(i);
  }
  odd.resize(std::min(odd.size(), kMostTiles));
  const std::size_t room = kMostTiles - odd.size();
  const std::size_t every = room == 0 ? 0 : (others.size() + room - 1) / room;
  for (std::size_t i = 0; every > 0 && i < others.size(); i += every) {
    odd.push_back(others[i]);
  }
  std::sort(odd.begin(), odd.end());
  return odd;
}

class Inspect final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("archive", archive_, "archive that `regatta pack` wrote")->required();
    auto* pairs = app.add_flag("--pairs", pairs_, "list the pairs of each split");
    auto* qc = app.add_option("--qc", qc_, "write a picture sheet, PNG; several pages get _01, _02 ... before .png");
    auto* json =
        app.add_option("--json", json_, "write everything as JSON to this file; - prints it instead of the tables");
    app.add_option("--threads", threads_, "volumes read at the same time; 0: one per core")
        ->range(0, 1024)
        ->capture_default_str();
    app.add_flag("--verify", verify_, "only compare every volume with its checksum; exit code 3 if one is damaged")
        ->excludes(pairs)
        ->excludes(qc)
        ->excludes(json);
  }

  ExitCode run() override {
    const Archive archive = Archive::open(archive_);
    if (verify_) {
      return verify(archive);
    }
    const Inspection inspection = inspect_archive(archive, threads_);
    if (!json_.empty()) {
      const std::string text = dump_pretty(to_json(archive, inspection));
      if (json_ == "-") {
        std::cout << text;
      } else {
        write_file_atomically(json_, text);
      }
    }
    if (json_ != "-") {
      std::cout << header_text(archive) << '\n'
                << labels_text(archive, inspection) << subjects_text(archive, inspection) << '\n'
                << (pairs_ ? pairs_text(archive) + '\n' : std::string()) << findings_text(inspection);
    }
    if (!qc_.empty()) {
      const std::vector<fs::path> pages = write_sheet(archive, inspection);
      std::cerr << str("look at ", pages.front().string(),
                       pages.size() > 1 ? str(" and ", pages.size() - 1, " more pages") : std::string(), '\n');
    }
    REGATTA_REQUIRE(std::cout.flush().good(), DataError, "cannot write to stdout");
    return ExitCode::kOk;
  }

 private:
  static ExitCode verify(const Archive& archive) {
    std::cout << header_text(archive) << std::flush;
    const Verification found = verify_archive(archive);
    std::cout << str("verified     ", found.volumes, " volumes, ", bytes_text(found.bytes), " in ",
                     duration_text(found.seconds), " (", bytes_text(found.bytes / std::max(found.seconds, 1e-9)),
                     "/s), ", found.damaged.size(), " damaged\n");
    for (const std::string& line : found.damaged) {
      std::cout << "damaged      " << line << '\n';
    }
    REGATTA_REQUIRE(std::cout.flush().good(), DataError, "cannot write to stdout");
    return found.damaged.empty() ? ExitCode::kOk : ExitCode::kData;
  }

  std::vector<fs::path> write_sheet(const Archive& archive, const Inspection& inspection) const {
    const std::vector<std::size_t> shown = shown_subjects(inspection);
    SubjectSheet sheet(archive.shape(), archive.spacing(), archive.orientation());
    Progress progress("picture", static_cast<std::int64_t>(shown.size()), ProgressOptions::for_stderr());
    std::vector<std::uint8_t> labels;
    for (std::size_t k = 0; k < shown.size(); ++k) {
      const SubjectInspection& s = inspection.subjects[shown[k]];
      const auto index = static_cast<std::int64_t>(shown[k]);
      labels.resize(s.has_labels ? static_cast<std::size_t>(voxel_count(archive.shape())) : 0);
      if (s.has_labels) {
        archive.read_labels(index, labels);
      }
      std::vector<std::string> flags;
      for (const Finding& finding : s.findings) {
        flags.push_back(finding.brief);
      }
      const std::string group = s.group == s.id ? std::string() : str("  ", s.group);
      const std::vector<float> image = read_values(archive, index);
      sheet.add(
          str(s.id, "  ", s.split, group), [&image](std::size_t voxel) { return image[voxel]; }, labels,
          join(flags, ", "));
      progress.update(static_cast<std::int64_t>(k) + 1, s.id);
    }
    progress.finish();
    const std::string name = archive.name().empty() ? fs::path(archive_).filename().string() : archive.name();
    const auto flagged = std::count_if(inspection.subjects.begin(), inspection.subjects.end(),
                                       [](const SubjectInspection& s) { return !s.findings.empty(); });
    return sheet.write(qc_,
                       str(name, ": ", inspection.subjects.size(), " subjects, ", flagged, " to look at, ",
                           shape_text(archive.shape()), ", ", spacing_text(archive.spacing()), " mm",
                           shown.size() < inspection.subjects.size() ? ", some shown" : ""),
                       threads_);
  }

  std::string archive_;
  std::string qc_;
  std::string json_;
  int threads_ = 0;
  bool pairs_ = false;
  bool verify_ = false;
};

}  // namespace

std::unique_ptr<Command> make_inspect() {
  return std::make_unique<Inspect>();
}

}  // namespace regatta::app
