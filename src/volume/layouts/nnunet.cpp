// nnU-Net's raw data: imagesTr/CASE_0000.nii.gz, one file a channel, labelsTr/CASE.nii.gz, channel names in
// dataset.json. Also imagesTr and labelsTr with the same names.
#include <map>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {

bool claims_nnunet(const ScanTree& tree);
FoundSet find_nnunet(const ScanTree& tree);

namespace {

/// Names of the channels by number, of channel_names or, in older files, modality; {} where there are none.
std::vector<std::string> read_channels(const ScanTree& tree, FoundSet& out) {
  if (!tree.has("dataset.json")) {
    return {};
  }
  out.known.insert("dataset.json");
  const Json content = read_json(tree.full("dataset.json"));
  const std::string source = tree.full("dataset.json").string();
  require_object(content, source);
  std::vector<std::string> names;
  for (const char* key : {"channel_names", "modality"}) {
    const auto found = content.find(key);
    if (found == content.end() || !names.empty()) {
      continue;
    }
    require_object(*found, str(source, ": /", key));
    for (std::size_t i = 0; i < found->size(); ++i) {
      const auto name = found->find(str(i));
      REGATTA_REQUIRE(name != found->end() && name->is_string(), ConfigError, source, ": /", key, ": '", i,
                      "': a channel's name expected");
      names.push_back(id_from(name->get<std::string>()));
    }
  }
  if (const auto name = content.find("name"); name != content.end() && name->is_string()) {
    out.name = name->get<std::string>();
  }
  if (const auto text = content.find("description"); text != content.end() && text->is_string()) {
    out.anatomy = anatomy_of_text(text->get<std::string>());
  }
  return names;
}

/// {case: {digits or "": path}} of a folder.
std::map<std::string, std::map<std::string, std::string>> cases_of(const ScanTree& tree, const std::string& folder,
                                                                   bool channels) {
  std::map<std::string, std::map<std::string, std::string>> cases;
  for (const std::string& path : tree.volumes()) {
    if (folder_of(path) == folder) {
      std::string rest = stem_of(path);
      const std::string digits = channels ? four_digits(stem_of(path), &rest) : "";
      cases[rest][digits] = path;
    }
  }
  return cases;
}

/// Whether _NNNN at the end of a name is a channel: dataset.json has channels, or label maps lack it.
bool has_channels(const ScanTree& tree, const std::vector<std::string>& names) {
  for (const std::string& path : tree.volumes()) {
    std::string rest;
    if (folder_of(path) == "imagesTr" && !four_digits(stem_of(path), &rest).empty() &&
        tree.find_volume("labelsTr", stem_of(path)).empty()) {
      return !names.empty() || !tree.find_volume("labelsTr", rest).empty();
    }
  }
  return false;
}

}  // namespace

bool claims_nnunet(const ScanTree& tree) {
  for (const std::string& path : tree.volumes()) {
    if (folder_of(path) == "imagesTr") {
      return true;
    }
  }
  return false;
}

FoundSet find_nnunet(const ScanTree& tree) {
  FoundSet out;
  std::vector<std::string> names = read_channels(tree, out);
  const bool channels = has_channels(tree, names);
  if (names.empty() || !channels) {
    names = {names.empty() ? "0" : names.front()};
  }
  out.is_ct = names_ct(names.front());
  std::vector<std::string> incomplete;
  for (const char* part : {"Tr", "Ts"}) {
    for (const auto& [name, files] : cases_of(tree, str("images", part), channels)) {
      SubjectEntry subject;
      subject.id = id_from(name);
      subject.group = id_from(case_of(name));
      subject.split = std::string_view(part) == "Ts" ? "test" : "";
      bool complete = true;
      for (std::size_t channel = 0; channel < names.size(); ++channel) {
        const std::string digits = str("000", channel);
        const auto file = files.find(channels ? digits.substr(digits.size() - 4) : "");
        complete = complete && file != files.end();
        if (complete) {
          subject.images[names[channel]] = file->second;
        }
      }
      if (!complete) {
        incomplete.push_back(name);
        continue;
      }
      add_twin_files(tree, files.begin()->second, name, subject);
      if (names.size() == 1) {
        subject.image = subject.images.begin().value().get<std::string>();
        subject.images = Json::object();
      }
      out.subjects.push_back(std::move(subject));
    }
  }
  if (names.size() > 1) {
    out.modalities = names;
  }
  note_names(out, incomplete, str("cases left out, they lack one of the channels ", join(names, ", ")));
  return out;
}

}  // namespace regatta
