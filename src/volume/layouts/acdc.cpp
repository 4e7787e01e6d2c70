// The ACDC release: patientNNN folders, below any folders, whose Info.cfg says which frames are end-diastole and
// end-systole. A patient gives two subjects and the pairs ED onto ES and back. Splits are the benchmark's (MemWarp):
// of 1..100 the last three of each group of twenty validate, 101..150 test.
#include <cctype>
#include <map>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {

bool claims_acdc(const ScanTree& tree);
FoundSet find_acdc(const ScanTree& tree);

namespace {

constexpr int kTrainingPatients = 100;

/// N of a folder patientN; -1 for others.
int patient_number(const std::string& folder) {
  const std::string name = std::filesystem::path(folder).filename().string();
  const std::string digits = name.starts_with("patient") ? name.substr(7) : "";
  const bool good =
      !digits.empty() && digits.size() <= 6 && digits.find_first_not_of("0123456789") == std::string::npos;
  return good ? std::stoi(digits) : -1;
}

/// {number: folder}
std::map<int, std::string> patients_of(const ScanTree& tree) {
  std::map<int, std::string> patients;
  for (const TreeFile& file : tree.files()) {
    const std::string folder = folder_of(file.path);
    if (std::filesystem::path(file.path).filename() == "Info.cfg" && patient_number(folder) >= 0) {
      const auto [first, fresh] = patients.emplace(patient_number(folder), folder);
      REGATTA_REQUIRE(fresh, DataError, tree.full(folder).string(), ": also lies in ",
                      tree.full(first->second).string());
    }
  }
  return patients;
}

/// "key: value" lines.
std::map<std::string, std::string> read_info(const std::filesystem::path& path) {
  std::map<std::string, std::string> values;
  for (const std::string& line : split(read_file(path), '\n')) {
    if (const std::size_t colon = line.find(':'); colon != std::string::npos) {
      values[std::string(trim(line.substr(0, colon)))] = std::string(trim(line.substr(colon + 1)));
    }
  }
  return values;
}

/// The volume of a phase, ED or ES.
std::string frame_of(const ScanTree& tree, const std::string& folder, const std::string& phase) {
  const std::string info = path_in(folder, "Info.cfg");
  const auto values = read_info(tree.full(info));
  const auto found = values.find(phase);
  const std::string number = found == values.end() ? "missing" : found->second;
  REGATTA_REQUIRE(!number.empty() && number.size() < 4 && number.find_first_not_of("0123456789") == std::string::npos,
                  DataError, tree.full(info).string(), ": ", phase, ": '", one_line(number, 40),
                  "', a frame number expected");
  const std::string name = std::filesystem::path(folder).filename().string();
  const std::string stem = str(name, "_frame", number.size() < 2 ? "0" : "", number);
  const std::string image = tree.find_volume(folder, stem);
  REGATTA_REQUIRE(!image.empty(), DataError, tree.full(info).string(), ": ", phase, ": ", number, ", but ",
                  tree.full(path_in(folder, stem)).string(), ".nii.gz does not exist");
  return image;
}

}  // namespace

bool claims_acdc(const ScanTree& tree) {
  return !patients_of(tree).empty();
}

FoundSet find_acdc(const ScanTree& tree) {
  FoundSet out;
  out.anatomy = Anatomy::kHeart;
  out.one_session = true;
  const auto patients = patients_of(tree);
  const bool whole_release = patients.contains(1) && patients.contains(kTrainingPatients);
  for (const auto& [number, folder] : patients) {
    const std::string name = std::filesystem::path(folder).filename().string();
    std::string split;
    if (number > kTrainingPatients) {
      split = "test";
    } else if (whole_release) {
      split = (number - 1) % 20 >= 17 ? "val" : "train";
    }
    for (const char* phase : {"ED", "ES"}) {
      SubjectEntry subject;
      subject.id = str(name, '_', phase);
      subject.image = frame_of(tree, folder, phase);
      subject.labels = tree.find_volume(folder, stem_of(subject.image) + "_gt");
      subject.group = name;
      subject.split = split;
      out.subjects.push_back(std::move(subject));
    }
    const auto& scans = out.subjects;
    REGATTA_REQUIRE(scans[scans.size() - 2].image != scans.back().image, DataError,
                    tree.full(path_in(folder, "Info.cfg")).string(), ": ED and ES are both ", scans.back().image);
    out.pairs.push_back({split, name + "_ED", name + "_ES"});
    out.pairs.push_back({split, name + "_ES", name + "_ED"});
    out.known.insert(path_in(folder, "Info.cfg"));
    if (const std::string series = tree.find_volume(folder, name + "_4d"); !series.empty()) {
      out.known.insert(series);
    }
  }
  return out;
}

}  // namespace regatta
