// `regatta pack dataset.json`: checks and packs the volumes of a data set file. The work is in
// volume/pack.
#include <filesystem>
#include <iostream>

#include "app/command.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/volume/pack.hpp"

namespace regatta::app {
namespace {

class Pack final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("dataset", dataset_, "data set file: subjects, splits, pairs, preprocessing (docs/formats.md)")
        ->required();
    app.add_option("-o,--output", options_.output,
                   "archive to write (default: NAME.h5 beside the data set file, by the data set's name)");
    app.add_option("--qc", options_.qc,
                   "picture sheet to write; default: NAME_qc.png beside the archive; several pages get _01, _02 ...");
    app.add_option("--deflate", options_.deflate,
                   "zlib level 1..9; 0 leaves the voxels uncompressed, the fastest to read")
        ->capture_default_str();
    app.add_option("--threads", options_.threads, "subjects prepared at the same time; 0: one per core")
        ->capture_default_str();
    app.add_flag("--update", options_.update,
                 "replace an existing archive, and keep the subjects whose files and options have not changed");
    app.add_flag("--force", options_.replace, "replace an existing archive and pack everything again");
  }

  ExitCode run() override {
    catch_leave_signals();
    const DatasetFile dataset = read_dataset(dataset_);
    if (options_.output.empty()) {
      options_.output = std::filesystem::path(dataset_).parent_path() / (file_name_of(dataset.options.name) + ".h5");
    }
    print(pack_dataset(dataset, options_));
    return ExitCode::kOk;
  }

 private:
  void print(const PackSummary& s) const {
    const auto counts = [](const std::map<std::string, std::int64_t>& map) {
      std::vector<std::string> parts;
      for (const auto& [name, count] : map) {
        parts.push_back(str(name, ' ', count));
      }
      return join(parts, ", ");
    };
    for (const std::string& warning : s.warnings) {
      log_warning(warning);
    }
    const std::string reused = s.reused > 0 ? str(", ", s.reused, " of them packed before") : std::string();
    std::cout << str(
        "subjects     ", s.subjects, " (", counts(s.split_subjects), ')', reused, '\n',  //
        "pairs        ", counts(s.split_pairs), '\n',                                    //
        "grid         ", shape_text(s.shape), ", ", spacing_text(s.spacing), " mm, ", s.orientation, '\n',
        "voxels       ", s.type == VoxelType::kUint8 ? "uint8" : "float32",
        s.modalities.size() > 1 ? ", " + join(s.modalities, ", ") : std::string(), '\n',  //
        "labels       ", s.labels, " values, in ", s.labelled, " subjects\n",             //
        s.masked > 0 ? str("masks        in ", s.masked, " subjects\n") : std::string(),
        s.with_keypoints > 0 ? str("key-points   in ", s.with_keypoints, " subjects\n") : std::string(),
        s.pairs_with_keypoints > 0 ? str("key-points   of ", s.pairs_with_keypoints, " pairs\n") : std::string(),
        "fingerprint  ", s.fingerprint, '\n',  //
        "archive      ", options_.output.string(), ", ", bytes_text(static_cast<double>(s.bytes)), ", ",
        duration_text(s.seconds), '\n',  //
        "look at      ", s.qc.front().string(),
        s.qc.size() > 1 ? str(" and ", s.qc.size() - 1, " more pages") : std::string(), '\n');
  }

  std::string dataset_;
  PackOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_pack() {
  return std::make_unique<Pack>();
}

}  // namespace regatta::app
