// `regatta init FOLDER`: a data set file, a recipe and a job file to begin with, from a folder of scans. The work is in
// volume/init. Asks `regatta-engine describe` how much memory the network takes.
#include <filesystem>
#include <iostream>

#include "app/command.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/launch/gpu_choice.hpp"
#include "regatta/volume/init.hpp"

namespace regatta::app {
namespace {

constexpr std::size_t kLongestLine = 2000;

class Init final : public Command {
 public:
  void declare(Arguments& app) override {
    std::vector<std::string> layouts;
    for (const auto& [name, help] : layout_help()) {
      layouts.push_back(str(name, " (", help, ")"));
    }
    app.add_option("folder", options_.folder, "folder of scans; nothing in it is changed")->required();
    app.add_option("-o,--output", options_.output,
                   "folder for dataset.json, recipe.json and job.json; default: the current one");
    app.add_option("--layout", options_.layout,
                   str("layout of the folder, if the one that was recognised is wrong: ", join(layouts, "; ")));
    app.add_option("--val", options_.val,
                   "fraction of the subjects held out for validation, rounded, unless the release defines a split")
        ->capture_default_str();
    app.add_flag("--force", options_.replace, "replace these files if they exist");
  }

  ExitCode run() override {
    const InitPlan plan = plan_dataset(options_);
    const auto paths = write_plan(plan, options_);
    print(plan, paths);
    return ExitCode::kOk;
  }

 private:
  static std::string counts(const std::map<std::string, std::int64_t>& map) {
    std::vector<std::string> parts;
    for (const auto& [name, count] : map) {
      parts.push_back(str(name, ' ', count));
    }
    return join(parts, ", ");
  }

  /// What a training step takes on a GPU, or why that is not known.
  static std::string memory(const InitPlan& plan) {
    const std::string engine = program_path(Program::kEngine);
    if (!std::filesystem::exists(engine)) {
      return "not known: this build has no regatta-engine";
    }
    const Json question = {{"recipes", Json::array({plan.recipe})}, {"label_count", plan.label_count}};
    const Json answer = parse_json(
        run_program_for_text({engine, "describe", "--size", shape_text(plan.shape)}, dump_line(question)), "describe");
    const Json& row = answer.at("recipes").at(0);
    if (row.contains("error")) {
      return str("not known: ", row.at("error").get<std::string>());
    }
    return str("about ", bytes_text(row.at("training_bytes").get<double>()), " for a training step, ",
               bytes_text(static_cast<double>(plan.archive_bytes)), " for the data");
  }

  void print(const InitPlan& plan, const std::vector<std::filesystem::path>& paths) const {
    std::int64_t subjects = 0;
    for (const auto& [split, count] : plan.split_subjects) {
      subjects += count;
    }
    std::cout << str("layout       ", plan.layout, "\nname         ", one_line(plan.name), "\nsubjects     ", subjects,
                     " (", counts(plan.split_subjects), "); with labels ", plan.with_labels, ", masks ", plan.with_mask,
                     ", key-points ", plan.with_keypoints, "\npairs        ", counts(plan.split_pairs),
                     plan.pairs_with_keypoints > 0 ? str("; with key-points of their own ", plan.pairs_with_keypoints)
                                                   : std::string(),
                     '\n');
    for (const std::string& line : plan.choices) {
      std::cout << one_line(line, kLongestLine) << '\n';
    }
    std::cout << str("archive      about ", bytes_text(static_cast<double>(plan.archive_bytes)), '\n');
    if (!plan.recipe.is_null()) {
      std::cout << str("GPU memory   ", memory(plan), '\n');
    }
    for (const std::string& line : plan.notes) {
      std::cout << "look at      " << one_line(line, kLongestLine) << '\n';
    }
    std::cout << str("wrote        ", join(texts(paths), ", "), '\n', next_commands(plan, paths)) << std::flush;
  }

  std::string next_commands(const InitPlan& plan, const std::vector<std::filesystem::path>& paths) const {
    if (plan.recipe.is_null()) {
      return str("next         two scans: nothing to train on. Trained weights register them:\n",
                 "             regatta register --model best.safetensors --fixed FIXED --moving MOVING -o OUT\n",
                 "             Weights of other programs first need this preprocessing:\n",
                 "             regatta convert edit WEIGHTS --preprocess ", quoted(paths[0]),
                 " -o model.safetensors\n");
    }
    const int gpus = count_visible_gpus();
    return str("next         regatta pack ", quoted(paths[0]), "\n             regatta plan ", quoted(paths[2]),
               "\n             regatta sweep ", quoted(paths[2]), gpus > 1 ? str(" --ranks ", gpus) : std::string(),
               "     or one training: regatta train ", quoted(paths[1]), '\n');
  }

  static std::vector<std::string> texts(const std::vector<std::filesystem::path>& paths) {
    std::vector<std::string> out;
    for (const auto& path : paths) {
      out.push_back(path.lexically_normal().string());
    }
    return out;
  }

  static std::string quoted(const std::filesystem::path& path) { return shell_quote(path.lexically_normal().string()); }

  InitOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_init() {
  return std::make_unique<Init>();
}

}  // namespace regatta::app
