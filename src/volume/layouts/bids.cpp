// BIDS: sub-NN/[ses-NN/]anat/sub-NN[_ses-NN][_...]_T1w.nii.gz. One scan a subject and session, of the suffix that most
// have; label maps and brain masks are looked for anywhere below, derivatives included. A subject's sessions are a
// group.
#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {

bool claims_bids(const ScanTree& tree);
FoundSet find_bids(const ScanTree& tree);

namespace {

/// "sub-01_ses-2_run-1_T1w" -> entities "sub-01", "ses-2", "run-1" and the suffix "T1w".
struct BidsName {
  std::string subject;
  std::string session;
  std::string suffix;
  std::vector<std::string> entities;
};

BidsName name_of(const std::string& path) {
  BidsName name;
  name.entities = split(stem_of(path), '_');
  name.suffix = name.entities.back();
  name.entities.pop_back();
  for (const std::string& entity : name.entities) {
    if (entity.starts_with("sub-")) {
      name.subject = entity;
    } else if (entity.starts_with("ses-")) {
      name.session = entity;
    }
  }
  return name;
}

bool is_derived(const std::string& path) {
  return path.starts_with("derivatives/") || path.find("/derivatives/") != std::string::npos;
}

bool is_anatomical(const std::string& path) {
  const std::string folder = folder_of(path);
  return !is_derived(path) && std::filesystem::path(folder).filename() == "anat" && stem_of(path).starts_with("sub-") &&
         folder.find("sub-") != std::string::npos;
}

/// Scans of each suffix, one for a subject and session: the first by name.
std::map<std::string, std::map<std::string, std::string>> scans_by_suffix(const ScanTree& tree,
                                                                          std::vector<std::string>& repeated) {
  std::map<std::string, std::map<std::string, std::string>> scans;
  for (const std::string& path : tree.volumes()) {
    const BidsName name = name_of(path);
    if (is_anatomical(path) && name.suffix != "mask" && name.suffix != "dseg") {
      const std::string id = name.session.empty() ? name.subject : str(name.subject, '_', name.session);
      if (!scans[name.suffix].emplace(id, path).second) {
        repeated.push_back(path);
      }
    }
  }
  return scans;
}

/// Whether `path` was made of the scan: it has all its entities, and was not moved into another space.
bool is_made_of(const BidsName& scan, const std::string& path) {
  const std::vector<std::string> entities = name_of(path).entities;
  return std::all_of(
             scan.entities.begin(), scan.entities.end(),
             [&](const std::string& entity) { return std::count(entities.begin(), entities.end(), entity) == 1; }) &&
         std::none_of(entities.begin(), entities.end(), [](const std::string& entity) {
           return entity.starts_with("space-") && entity != "space-orig" && entity != "space-T1w";
         });
}

/// How surely a mask is one of the brain: 2 if it says so, 1 if it says nothing; 0 of a lesion, a part or a task.
int brain_mask_rank(const BidsName& name) {
  const auto has = [&](const char* begin) {
    return std::any_of(name.entities.begin(), name.entities.end(),
                       [&](const std::string& entity) { return entity.starts_with(begin); });
  };
  const auto is = [&](const char* entity) {
    return std::find(name.entities.begin(), name.entities.end(), entity) != name.entities.end();
  };
  if (has("task-")) {
    return 0;
  }
  return is("desc-brain") || is("label-brain") ? 2 : has("desc-") || has("label-") ? 0 : 1;
}

}  // namespace

bool claims_bids(const ScanTree& tree) {
  return std::any_of(tree.volumes().begin(), tree.volumes().end(), is_anatomical);
}

FoundSet find_bids(const ScanTree& tree) {
  FoundSet out;
  out.anatomy = Anatomy::kBrain;
  if (tree.has("dataset_description.json")) {
    const Json description = read_json(tree.full("dataset_description.json"));
    if (const Json* name = find_pointer(description, "/Name"); name != nullptr && name->is_string()) {
      out.name = name->get<std::string>();
    }
  }
  std::vector<std::string> repeated;
  const auto scans = scans_by_suffix(tree, repeated);
  std::string suffix;
  for (const auto& [name, paths] : scans) {
    if (suffix.empty() || paths.size() > scans.at(suffix).size() ||
        (paths.size() == scans.at(suffix).size() && name == "T1w")) {
      suffix = name;
    }
  }
  if (suffix.empty()) {
    return out;
  }
  std::map<std::string, std::vector<std::string>> derived;  // label maps and masks by subject
  std::vector<std::string> other_masks;
  for (const std::string& path : tree.volumes()) {
    const BidsName name = name_of(path);
    if (name.suffix == "mask" && brain_mask_rank(name) == 0) {
      other_masks.push_back(path);
    } else if (name.suffix == "dseg" || name.suffix == "mask") {
      derived[name.subject].push_back(path);
    }
  }
  note_names(out, other_masks, "masks not used, they are not named desc-brain or label-brain");
  out.known.insert(other_masks.begin(), other_masks.end());
  for (const auto& [id, path] : scans.at(suffix)) {
    SubjectEntry subject;
    subject.id = id_from(id);
    subject.image = path;
    subject.split.clear();
    const BidsName name = name_of(path);
    subject.group = id_from(name.subject);
    for (const std::string& other : derived[name.subject]) {
      if (is_made_of(name, other)) {
        const BidsName found = name_of(other);
        std::string& place = found.suffix == "dseg" ? subject.labels : subject.mask;
        if (place.empty() || (found.suffix == "mask" && brain_mask_rank(found) > brain_mask_rank(name_of(place)))) {
          place = other;
        }
      }
    }
    out.subjects.push_back(std::move(subject));
  }
  for (const auto& [other, paths] : scans) {
    if (other != suffix) {
      out.notes.push_back(str(other, " scans not used, ", suffix, " is: ", paths.size(),
                              "; `modalities` and `images` take several kinds of scan a subject"));
      for (const auto& [id, path] : paths) {
        out.known.insert(path);
      }
    }
  }
  note_names(out, repeated, "further runs of a session, not used");
  out.known.insert(repeated.begin(), repeated.end());
  return out;
}

}  // namespace regatta
