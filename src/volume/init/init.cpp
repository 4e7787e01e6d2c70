#include "regatta/volume/init.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/job.hpp"
#include "regatta/config/recipe.hpp"
#include "volume/init/checks.hpp"
#include "volume/init/grid_choice.hpp"
#include "volume/init/place_choice.hpp"
#include "volume/init/recipe_choice.hpp"
#include "volume/init/splits.hpp"
#include "volume/init/survey.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDatasetFile = "dataset.json";
constexpr const char* kRecipeFile = "recipe.json";
constexpr const char* kJobFile = "job.json";

/// Names that differ in letters which ids cannot have become different ids again. Pairs name ids: then it is an error.
void make_ids_unique(FoundSet& found) {
  std::set<std::string> taken;
  for (const SubjectEntry& subject : found.subjects) {
    taken.insert(subject.id);
  }
  std::set<std::string> seen;
  for (SubjectEntry& subject : found.subjects) {
    if (seen.insert(subject.id).second) {
      continue;
    }
    const std::string file = subject.image.empty() ? dump_line(subject.images) : subject.image;
    const bool other_file = std::none_of(found.subjects.begin(), found.subjects.end(), [&](const SubjectEntry& other) {
      return &other != &subject && other.image == subject.image && other.images == subject.images &&
             other.frame == subject.frame;
    });
    REGATTA_REQUIRE(found.pairs.empty() && other_file, DataError, file, ": '", subject.id,
                    "' is the id of another one too: letters, digits and . _ - + = @ count");
    std::string id;
    for (int number = 2; id.empty() || !taken.insert(id).second; ++number) {
      id = str(subject.id, '-', number);
    }
    found.notes.push_back(str(file, ": '", subject.id, "' is another one's id too; this one is '", id, "'"));
    subject.group = subject.group == subject.id ? id : subject.group;
    subject.id = id;
  }
}

/// A subject's row: only what it has. @param relative  makes a path of the tree one relative to the output folder
template <class Relative>
Json subject_json(const SubjectEntry& subject, const Relative& relative) {
  Json row;
  row["id"] = subject.id;
  if (!subject.image.empty()) {
    row["image"] = relative(subject.image);
  } else {
    for (const auto& item : subject.images.items()) {
      row["images"][item.key()] = relative(item.value().get<std::string>());
    }
  }
  for (const auto& [name, path] : {std::pair{"labels", &subject.labels}, std::pair{"mask", &subject.mask},
                                   std::pair{"keypoints", &subject.keypoints}}) {
    if (!path->empty()) {
      row[name] = relative(*path);
    }
  }
  if (subject.frame >= 0) {
    row["frame"] = subject.frame;
  }
  if (subject.group != subject.id) {
    row["group"] = subject.group;
  }
  row["split"] = subject.split;
  return row;
}

/// @param relative  makes a path of the tree one relative to the output folder
template <class Relative>
Json pairs_json(const PairRule& rule, const Relative& relative) {
  Json pairs = {{"rule", rule.rule}};
  if (rule.rule == "atlas") {
    pairs["atlas"] = rule.atlas;
  }
  if (rule.rule == "random") {
    pairs["count"] = rule.count;
  }
  if (!rule.explicit_pairs.empty()) {
    pairs["explicit"] = rule.explicit_pairs;
    for (Json& pair : pairs["explicit"]) {
      for (const char* key : {"moving_keypoints", "fixed_keypoints"}) {
        if (pair.contains(key)) {
          pair[key] = relative(pair[key].get<std::string>());
        }
      }
    }
  }
  return pairs;
}

Json preprocess_json(const PreprocessOptions& options) {
  Json value = write_options(options);
  if (options.modalities.empty()) {
    value.erase("modalities");
  }
  return value;
}

/// Lungs are often given as masks alone: they are labels too, so that Dice can be trained and measured.
void use_masks_as_labels(FoundSet& found) {
  const bool labelled = std::any_of(found.subjects.begin(), found.subjects.end(),
                                    [](const SubjectEntry& subject) { return !subject.labels.empty(); });
  if (found.anatomy != Anatomy::kLung || labelled) {
    return;
  }
  for (SubjectEntry& subject : found.subjects) {
    subject.labels = subject.mask;
  }
}

std::uintmax_t archive_bytes(const InitPlan& plan, std::size_t subjects, std::size_t modalities) {
  const auto voxels = static_cast<std::uintmax_t>(voxel_count(plan.shape));
  return voxels * (subjects * std::max<std::size_t>(1, modalities) + (plan.with_labels > 0 ? subjects : 0) +
                   (plan.with_mask > 0 ? subjects : 0));
}

void count(const FoundSet& found, const DatasetFile& dataset, InitPlan& plan) {
  for (const SubjectEntry& subject : found.subjects) {
    ++plan.split_subjects[subject.split];
    plan.with_labels += subject.labels.empty() ? 0 : 1;
    plan.with_mask += subject.mask.empty() ? 0 : 1;
    plan.with_keypoints += subject.keypoints.empty() ? 0 : 1;
  }
  for (const ArchivePair& pair : dataset.pairs) {
    ++plan.split_pairs[pair.split];
    plan.pairs_with_keypoints += dataset.keypoint_files(pair) ? 1 : 0;
  }
}

/// Every pair has key-points, its own or those of both sides.
bool pairs_have_keypoints(const DatasetFile& dataset) {
  return std::all_of(dataset.pairs.begin(), dataset.pairs.end(), [&](const ArchivePair& pair) {
    const bool own = dataset.keypoint_files(pair).has_value();
    return own || (!dataset.subjects[static_cast<std::size_t>(pair.moving)].keypoints.empty() &&
                   !dataset.subjects[static_cast<std::size_t>(pair.fixed)].keypoints.empty());
  });
}

void choose_job(const FoundSet& found, const DatasetFile& dataset, bool is_ct, InitPlan& plan) {
  RecipeFacts facts;
  facts.anatomy = found.anatomy;
  facts.is_ct = is_ct;
  const auto all = std::ssize(found.subjects);
  facts.labels = plan.with_labels == all;
  facts.masks = plan.with_mask == all;
  facts.keypoints = pairs_have_keypoints(dataset);
  facts.atlas = !found.atlas.empty();
  facts.train_pairs = plan.split_pairs["train"];
  facts.train_subjects = plan.split_subjects["train"];
  RecipeChoice choice = choose_recipe(facts, plan.archive);
  plan.recipe = std::move(choice.recipe);
  plan.choices.push_back(str("recipe       ", choice.reason));
  plan.job["schema"] = kJobSchema;
  plan.job["name"] = file_name_of(plan.name);
  plan.job["recipe"] = kRecipeFile;
  plan.job["axes"] = choice.axes;
  plan.job["sampler"] = "grid";
  plan.job["objective"] = {{"metric", plan.recipe.at("validation").at("best")}};
}

/// As dump_pretty, but one subject or pair a line.
std::string dataset_text(const Json& dataset) {
  const auto rows = [](const Json& list) {
    std::vector<std::string> lines;
    for (const Json& row : list) {
      lines.push_back("    " + dump_line(row));
    }
    return str("[\n", join(lines, ",\n"), "\n  ]");
  };
  std::vector<std::string> parts;
  for (const auto& item : dataset.items()) {
    std::string text = dump_line(item.value());
    if (item.key() == "subjects") {
      text = rows(item.value());
    } else if (item.key() == "pairs" && item.value().contains("explicit")) {
      Json rest = item.value();
      rest.erase("explicit");
      text = dump_line(rest);
      text = str(text.substr(0, text.size() - 1), ", \"explicit\": ", rows(item.value().at("explicit")), "}");
    }
    parts.push_back(str("  ", dump_line(Json(item.key())), ": ", text));
  }
  return str("{\n", join(parts, ",\n"), "\n}\n");
}

/// A download often unpacks into one more folder: the first folder down from here that holds anything else.
fs::path without_wrapping(fs::path folder) {
  while (fs::is_directory(folder)) {
    std::vector<fs::path> entries;
    std::error_code error;
    const fs::directory_iterator listed(folder, error);
    REGATTA_REQUIRE(!error, DataError, folder.string(), ": cannot be listed: ", error.message());
    for (const auto& entry : listed) {
      if (!entry.path().filename().string().starts_with(".")) {
        entries.push_back(entry.path());
      }
    }
    if (entries.size() != 1 || !fs::is_directory(entries.front())) {
      break;
    }
    folder = entries.front();
  }
  return folder;
}

void check_free(const fs::path& path, const InitOptions& options) {
  if (!fs::exists(path)) {
    return;
  }
  REGATTA_REQUIRE(options.replace, DataError, path.string(), ": already exists; use --force to replace it");
  if (path.filename() == kDatasetFile) {
    const Json content = read_json(path);
    REGATTA_REQUIRE(content.is_object() && content.contains("subjects"), DataError, path.string(),
                    ": is the release's own file, never replaced; name another folder with --output");
  }
}

}  // namespace

InitPlan plan_dataset(const InitOptions& options) {
  REGATTA_REQUIRE(options.val >= 0.0 && options.val < 1.0, ConfigError, "--val: ", options.val,
                  ", 0 to below 1 allowed");
  const fs::path folder = without_wrapping(fs::weakly_canonical(fs::absolute(options.folder)));
  const fs::path output = fs::weakly_canonical(fs::absolute(options.output));
  const ScanTree tree = ScanTree::read(folder);
  const LayoutRow& layout = choose_layout(tree, options.layout);
  InitPlan plan;
  plan.layout = str(layout.name, " (", layout.help, ")");
  FoundSet found = layout.find(tree);
  plan.name = found.name.empty() ? fs::weakly_canonical(fs::absolute(options.folder)).filename().string() : found.name;
  plan.archive = file_name_of(plan.name) + ".h5";
  if (found.anatomy == Anatomy::kUnknown) {
    found.anatomy = anatomy_of_text(plan.name);
  }
  make_ids_unique(found);
  use_masks_as_labels(found);
  const Survey seen = survey(tree, found);
  REGATTA_REQUIRE(found.subjects.size() > 1, DataError, options.folder.string(), ": ", found.subjects.size(),
                  " subjects found as layout ", layout.name, ", at least two expected (--layout takes another)",
                  found.notes.empty() ? "" : "; ", join(found.notes, "; "));
  const bool one_pair = found.subjects.size() == 2;
  PairRule pairs;
  if (one_pair) {
    pairs = settle_one_pair(found);
  } else {
    draw_splits(found, options.val);
    pairs = choose_pairs(found);
  }
  GridChoice grid = choose_grid(found, seen, choose_place(tree, found, seen, pairs));
  note_oddities(tree, found, seen);

  plan.dataset["schema"] = kDatasetSchema;
  plan.dataset["name"] = plan.name;
  if (!found.modalities.empty()) {
    plan.dataset["modalities"] = found.modalities;
  }
  const auto relative = [&](const std::string& path) {
    return (folder / path).lexically_relative(output).generic_string();
  };
  plan.dataset["pairs"] = pairs_json(pairs, relative);
  plan.dataset["preprocess"] = preprocess_json(grid.preprocess);
  plan.dataset["subjects"] = Json::array();
  for (const SubjectEntry& subject : found.subjects) {
    plan.dataset["subjects"].push_back(subject_json(subject, relative));
  }
  const DatasetFile dataset = dataset_from_json(plan.dataset, output);
  count(found, dataset, plan);
  std::copy(grid.preprocess.shape.begin(), grid.preprocess.shape.end(), plan.shape.begin());
  plan.archive_bytes = archive_bytes(plan, found.subjects.size(), found.modalities.size());
  std::set<std::int32_t> values;
  for (const auto& some : seen.label_values) {
    values.insert(some.begin(), some.end());
  }
  plan.label_count = std::ssize(values);
  plan.choices = std::move(grid.reasons);
  if (!one_pair) {
    choose_job(found, dataset, grid.preprocess.intensity.kind == "window", plan);
  }
  plan.notes = std::move(found.notes);
  return plan;
}

std::vector<fs::path> write_plan(const InitPlan& plan, const InitOptions& options) {
  std::vector<std::pair<fs::path, std::string>> files = {{options.output / kDatasetFile, dataset_text(plan.dataset)}};
  if (!plan.recipe.is_null()) {
    files.emplace_back(options.output / kRecipeFile, dump_pretty(plan.recipe));
    files.emplace_back(options.output / kJobFile, dump_pretty(plan.job));
  }
  for (const auto& [path, text] : files) {
    check_free(path, options);
  }
  make_directories(options.output);
  std::vector<fs::path> paths;
  for (const auto& [path, text] : files) {
    write_file_atomically(path, text);
    paths.push_back(path);
  }
  return paths;
}

std::vector<std::pair<std::string, std::string>> layout_help() {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const LayoutRow& row : layout_rows()) {
    rows.emplace_back(row.name, row.help);
  }
  return rows;
}

}  // namespace regatta
