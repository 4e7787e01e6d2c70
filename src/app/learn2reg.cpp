#include "app/learn2reg.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"
#include "regatta/volume/displacement.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

/// What halving and float16 may change a field by on average before it is said.
constexpr double kUsualLoss = 0.1;  ///< voxels

std::string text_of(const Json& row, const char* key) {
  const auto found = row.is_object() ? row.find(key) : row.end();
  return row.is_object() && found != row.end() && found->is_string() ? found->get<std::string>() : "";
}

/// "imagesTr/A_0001_0000.nii.gz" -> "labelsTr/A_0001_0000.nii.gz", if it exists; else ""
std::string twin_of(const fs::path& folder, const std::string& image, const char* kind, const char* ending) {
  const fs::path path(image);
  std::string place = path.parent_path().generic_string();
  const std::size_t at = place.rfind("images");
  if (at == std::string::npos) {
    return "";
  }
  place.replace(at, 6, kind);
  std::string file = path.filename().string();
  if (*ending != '\0') {
    file = file.substr(0, file.find(".nii")) + ending;
  }
  const fs::path twin = folder / place / file;
  std::error_code error;
  return fs::exists(twin, error) ? twin.string() : "";
}

/// Both or none: what only one scan has can be compared with nothing.
void add_twins(const fs::path& folder, const std::string& fixed, const std::string& moving, PairFiles& out) {
  const std::string fixed_labels = twin_of(folder, fixed, "labels", "");
  const std::string moving_labels = twin_of(folder, moving, "labels", "");
  if (!fixed_labels.empty() && !moving_labels.empty()) {
    out.fixed_labels = fixed_labels;
    out.moving_labels = moving_labels;
  }
  for (const char* kind : {"landmarks", "keypoints"}) {
    const std::string fixed_points = twin_of(folder, fixed, kind, ".csv");
    const std::string moving_points = twin_of(folder, moving, kind, ".csv");
    if (out.fixed_points.empty() && !fixed_points.empty() && !moving_points.empty()) {
      out.fixed_points = fixed_points;
      out.moving_points = moving_points;
    }
  }
}

PairFiles listed_pair(const Json& row, const std::string& place, const fs::path& folder, const fs::path& output) {
  const std::string fixed = fs::path(text_of(row, "fixed")).lexically_normal().generic_string();
  const std::string moving = fs::path(text_of(row, "moving")).lexically_normal().generic_string();
  REGATTA_REQUIRE(!text_of(row, "fixed").empty() && !text_of(row, "moving").empty(), ConfigError, place,
                  ": fixed and moving expected, got ", one_line(dump_line(row), 80));
  PairFiles out;
  const std::string field = learn2reg_name(fixed, moving);
  REGATTA_REQUIRE(!field.empty(), ConfigError, place, ": ", fixed, " and ", moving,
                  ": names such as TASK_0001_0000.nii.gz expected, which give the submission's");
  out.name = field.substr(0, field.find('.')).substr(std::string("disp_").size());
  out.fixed = (folder / fixed).string();
  out.moving = (folder / moving).string();
  add_twins(folder, fixed, moving, out);
  out.output = output / out.name;
  out.source = place;
  return out;
}

std::string submitted_name(const PairFiles& pair, SubmissionForm form) {
  return str("disp_", pair.name, form == SubmissionForm::kNifti ? ".nii.gz" : ".npz");
}

/// One field in the task's form. @return how much its form changes it, voxels on average
double submit(const PairFiles& pair, SubmissionForm form, const fs::path& target) {
  const fs::path field = pair.output / submitted_name(pair, SubmissionForm::kNifti);
  if (form == SubmissionForm::kNifti) {
    write_file_atomically(target, read_file(field, std::uint64_t{1} << 34));
    return 0.0;
  }
  const Displacement whole = read_displacement(field);
  const Shape3& shape = whole.grid.shape;
  const std::vector<float> half = halved_displacement(whole.field, shape);
  write_npz_displacement(target, half, {shape[0] / 2, shape[1] / 2, shape[2] / 2});
  const Displacement back = read_displacement(target);
  const std::vector<float> doubled = doubled_displacement(back.field, back.grid.shape);
  double sum = 0.0;
  for (std::size_t i = 0; i < doubled.size(); ++i) {
    sum += std::abs(double{doubled[i]} - double{whole.field[i]});
  }
  return sum / static_cast<double>(doubled.size());
}

/// As the evaluation reads it.
void check_field(const PairFiles& pair, SubmissionForm form, const fs::path& file, const std::string& npz_orientation) {
  const Displacement field = read_displacement(file);  // refuses numbers that are not finite
  Shape3 shape = read_volume_header(pair.fixed, VolumePart::kImage, npz_orientation, 0).grid.shape;
  if (form == SubmissionForm::kHalfNpz) {
    shape = {shape[0] / 2, shape[1] / 2, shape[2] / 2};
  }
  REGATTA_REQUIRE(field.form == FieldForm::kArrays && field.grid.shape == shape, DataError, file.string(), ": a field ",
                  shape_text(field.grid.shape), ", the task expects ", shape_text(shape), " for ", pair.fixed);
}

void check_names(const Learn2RegTask& task, const fs::path& folder) {
  std::set<std::string> wanted;
  for (const PairFiles& pair : task.pairs) {
    wanted.insert(submitted_name(pair, task.form));
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!wanted.contains(name)) {
      log_warning(entry.path().string(), ": not of this task: remove it before you zip the folder");
    }
  }
}

}  // namespace

Learn2RegTask read_learn2reg_task(const fs::path& list, const std::string& split, const std::string& form,
                                  const fs::path& output) {
  const std::string source = list.string();
  const Json content = read_json(list);
  const std::string key = "registration_" + split;
  REGATTA_REQUIRE(
      content.is_object() && content.contains(key) && content.at(key).is_array() && !content.at(key).empty(),
      ConfigError, source, ": no pairs under /", key, ": the list of a Learn2Reg release expected, such as ",
      "NLST_dataset.json; --split val or test");
  Learn2RegTask out;
  out.name = text_of(content, "name");
  const bool is_oasis = out.name == "OASIS" || list.filename().string().starts_with("OASIS");
  out.form = form == "npz" || (form == "auto" && is_oasis) ? SubmissionForm::kHalfNpz : SubmissionForm::kNifti;
  std::set<std::string> names;
  for (std::size_t i = 0; i < content.at(key).size(); ++i) {
    const std::string place = str(source, ": /", key, '/', i);
    out.pairs.push_back(listed_pair(content.at(key)[i], place, list.parent_path(), output));
    REGATTA_REQUIRE(names.insert(out.pairs.back().name).second, ConfigError, place, ": the pair ",
                    out.pairs.back().name, " is there twice");
  }
  return out;
}

void write_submission(const Learn2RegTask& task, const fs::path& output, const std::string& npz_orientation) {
  const fs::path folder = output / "submission";
  make_directories(folder);
  double loss = 0.0;
  for (const PairFiles& pair : task.pairs) {
    const fs::path target = folder / submitted_name(pair, task.form);
    loss = std::max(loss, submit(pair, task.form, target));
    check_field(pair, task.form, target, npz_orientation);
  }
  check_names(task, folder);
  std::cout << "submission          " << folder.string() << ": " << task.pairs.size() << " fields, "
            << (task.form == SubmissionForm::kNifti ? "NIfTI, (X, Y, Z, 3), voxels"
                                                    : "npz, float16, (3, X/2, Y/2, Z/2), voxels")
            << ": names, shapes and numbers are as the task expects\n";
  if (task.form == SubmissionForm::kHalfNpz) {
    std::cout << "half resolution     changes the fields by at most " << to_text(loss) << " voxels on average\n";
    if (loss > kUsualLoss) {
      log_warning(folder.string(), ": a field at half resolution is ", to_text(loss), " voxels off on average");
    }
  }
}

}  // namespace regatta::app
