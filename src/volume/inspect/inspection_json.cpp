// Keys are listed in docs/inspect.md.
#include <cmath>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "regatta/base/text.hpp"
#include "regatta/volume/inspection.hpp"

namespace regatta {
namespace {

/// null for what was not measured.
Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json to_json(const SubjectInspection& s, const std::vector<std::int64_t>& label_ids) {
  Json out;
  out["id"] = s.id;
  out["split"] = s.split;
  out["group"] = s.group;
  out["frame"] = s.frame;
  out["original_spacing_mm"] = s.original_spacing;
  out["original_shape"] = s.original_shape;
  out["intensities"] = Json::array();
  for (const IntensityMeasure& v : s.intensities) {
    Json row;
    row["file_low"] = number(v.low);
    row["file_high"] = number(v.high);
    row["mean"] = v.mean;
    row["p1"] = v.p1;
    row["p50"] = v.p50;
    row["p99"] = v.p99;
    out["intensities"].push_back(row);
  }
  out["foreground"] = s.foreground;
  out["border"] = s.border;
  out["labels_ml"] = s.has_labels ? Json::object() : Json(nullptr);
  for (std::size_t i = 1; i < s.label_ml.size(); ++i) {
    out["labels_ml"][str(label_ids[i])] = s.label_ml[i];
  }
  out["mask"] = s.has_mask ? Json(s.mask_share) : Json(nullptr);
  out["keypoints"] = s.keypoints;
  out["keypoints_outside"] = s.keypoints_outside;
  out["affine_ncc"] = number(s.affine_ncc);
  out["fit_as_is"] = number(s.fit_as_is);
  out["fit_mirrored"] = number(s.fit_mirrored);
  out["fit_other_axes"] = number(s.fit_other_axes);
  out["other_axes"] = s.other_axes;
  out["asymmetry"] = number(s.asymmetry);
  out["findings"] = Json::array();
  for (const Finding& finding : s.findings) {
    Json row;
    row["rule"] = finding.rule;
    row["text"] = finding.text;
    out["findings"].push_back(row);
  }
  return out;
}

}  // namespace

Json to_json(const Archive& archive, const Inspection& inspection) {
  Json out;
  out["schema"] = 1;
  out["archive"] = archive.path().string();
  out["bytes"] = std::filesystem::file_size(archive.path());
  out["name"] = archive.name();
  out["made_by"] = archive.made_by();
  out["shape"] = archive.shape();
  out["spacing_mm"] = archive.spacing();
  out["orientation"] = archive.orientation();
  out["type"] = archive.image_type() == VoxelType::kUint8 ? "uint8" : "float32";
  out["modalities"] = archive.modalities();
  out["fingerprint"] = archive.fingerprint();
  out["preprocessing"] = archive.preprocessing();
  out["splits"] = subjects_of_splits(archive);
  out["pairs"] = Json::object();
  for (const std::string& split : archive.splits()) {
    for (const ArchivePair& pair : archive.pairs(split)) {
      Json row;
      row["moving"] = archive.subjects()[static_cast<std::size_t>(pair.moving)].id;
      row["fixed"] = archive.subjects()[static_cast<std::size_t>(pair.fixed)].id;
      out["pairs"][split].push_back(row);
    }
  }
  out["label_subjects"] = Json::object();
  for (std::size_t i = 1; i < archive.label_ids().size(); ++i) {
    out["label_subjects"][str(archive.label_ids()[i])] = inspection.label_subjects[i];
  }
  out["sides_told"] = inspection.sides_told;
  out["common_asymmetry"] = inspection.common_asymmetry;
  out["subjects"] = Json::array();
  for (const SubjectInspection& s : inspection.subjects) {
    out["subjects"].push_back(to_json(s, archive.label_ids()));
  }
  return out;
}

}  // namespace regatta
