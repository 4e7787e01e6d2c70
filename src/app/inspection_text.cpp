#include "app/inspection_text.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"

namespace regatta::app {
namespace {

constexpr std::size_t kMostLabelColumns = 6;  // more label values: one column with their sum

using Align = TextTable::Align;

/// Four significant digits, as short as they can be.
std::string short_text(double value) {
  if (value == 0.0 || !std::isfinite(value)) {
    return fixed_text(value, 0);
  }
  const int digits = 3 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  return fixed_text(value, std::clamp(digits, 0, 6));
}

std::string counts_text(const std::map<std::string, std::int64_t>& counts) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts) {
    parts.push_back(str(name, ' ', count));
  }
  return join(parts, ", ");
}

}  // namespace

std::string header_text(const Archive& archive) {
  std::map<std::string, std::int64_t> pairs;
  for (const std::string& split : archive.splits()) {
    pairs[split] = static_cast<std::int64_t>(archive.pairs(split).size());
  }
  const auto bytes = static_cast<double>(std::filesystem::file_size(archive.path()));
  return str("archive      ", archive.path().string(), ", ", bytes_text(bytes), '\n',                       //
             "made by      ", archive.made_by(), '\n',                                                      //
             "name         ", archive.name().empty() ? "-" : archive.name(), '\n',                          //
             "grid         ", shape_text(archive.shape()), ", ", spacing_text(archive.spacing()), " mm, ",  //
             archive.orientation(), '\n',                                                                   //
             "voxels       ", archive.image_type() == VoxelType::kUint8 ? "uint8" : "float32", ", ",
             join(archive.modalities(), ", "), '\n',                                                             //
             "fingerprint  ", archive.fingerprint(), '\n',                                                       //
             "subjects     ", archive.subjects().size(), " (", counts_text(subjects_of_splits(archive)), ")\n",  //
             "pairs        ", pairs.empty() ? "none" : counts_text(pairs), '\n');
}

std::string labels_text(const Archive& archive, const Inspection& inspection) {
  if (!archive.has_labels()) {
    return "";
  }
  const auto labelled = std::count_if(inspection.subjects.begin(), inspection.subjects.end(),
                                      [](const SubjectInspection& s) { return s.has_labels; });
  std::vector<std::string> all;
  std::vector<std::string> some;
  for (std::size_t i = 1; i < archive.label_ids().size(); ++i) {
    const std::string id = str(archive.label_ids()[i]);
    if (inspection.label_subjects[i] == labelled) {
      all.push_back(id);
    } else {
      some.push_back(str(id, " (", inspection.label_subjects[i], ")"));
    }
  }
  return str("labelled     ", labelled, " subjects, ", archive.label_ids().size() - 1, " values\n",
             all.empty() ? std::string() : str("in all       ", join(all, " "), '\n'),
             some.empty() ? std::string() : str("in some      ", join(some, ", "), '\n'), '\n');
}

std::string subjects_text(const Archive& archive, const Inspection& inspection) {
  const auto any = [&](const auto& predicate) {
    return std::any_of(inspection.subjects.begin(), inspection.subjects.end(), predicate);
  };
  const bool groups = any([](const SubjectInspection& s) { return s.group != s.id; });
  const bool affine = any([](const SubjectInspection& s) { return std::isfinite(s.affine_ncc); });
  const bool masks = any([](const SubjectInspection& s) { return s.has_mask; });
  const bool keypoints = any([](const SubjectInspection& s) { return s.keypoints > 0; });
  const std::size_t labels = archive.has_labels() ? archive.label_ids().size() - 1 : 0;
  TextTable table;
  table.column("subject", Align::kLeft);
  table.column("split", Align::kLeft);
  if (groups) {
    table.column("group", Align::kLeft);
  }
  table.column("file's shape", Align::kLeft);
  table.column("mm", Align::kLeft);
  table.column("file's range", Align::kLeft);
  for (const char* name : {"mean", "p1", "p50", "p99", "fg %"}) {
    table.column(name, Align::kRight);
  }
  for (std::size_t i = 1; i <= labels && labels <= kMostLabelColumns; ++i) {
    table.column(str(archive.label_ids()[i], " ml"), Align::kRight);
  }
  if (labels > kMostLabelColumns) {
    table.column("labels ml", Align::kRight);
  }
  if (masks) {
    table.column("mask %", Align::kRight);
  }
  if (keypoints) {
    table.column("points", Align::kRight);
  }
  if (affine) {
    table.column("affine", Align::kRight);
  }
  table.column("look at", Align::kLeft);
  for (const SubjectInspection& s : inspection.subjects) {
    const IntensityMeasure& v = s.intensities.front();
    std::vector<std::string> row = {s.id, s.split};
    if (groups) {
      row.push_back(s.group);
    }
    row.insert(row.end(), {shape_text(s.original_shape), spacing_text(s.original_spacing),
                           str(short_text(v.low), "..", short_text(v.high)), fixed_text(v.mean, 3), fixed_text(v.p1, 2),
                           fixed_text(v.p50, 2), fixed_text(v.p99, 2), fixed_text(100.0 * s.foreground, 1)});
    for (std::size_t i = 1; i <= labels && labels <= kMostLabelColumns; ++i) {
      row.push_back(s.has_labels ? fixed_text(s.label_ml[i], 1) : "-");
    }
    if (labels > kMostLabelColumns) {
      row.push_back(s.has_labels ? fixed_text(std::accumulate(s.label_ml.begin(), s.label_ml.end(), 0.0), 0) : "-");
    }
    if (masks) {
      row.push_back(s.has_mask ? fixed_text(100.0 * s.mask_share, 1) : "-");
    }
    if (keypoints) {
      row.push_back(str(s.keypoints));
    }
    if (affine) {
      row.push_back(fixed_text(s.affine_ncc, 3));
    }
    std::vector<std::string> rules;
    for (const Finding& finding : s.findings) {
      rules.push_back(finding.rule);
    }
    row.push_back(join(rules, " "));
    table.row(std::move(row));
  }
  return table.text();
}

std::string pairs_text(const Archive& archive) {
  TextTable table;
  for (const char* name : {"split", "moving", "fixed", "moving's group", "fixed's group"}) {
    table.column(name, Align::kLeft);
  }
  if (archive.has_keypoints()) {
    table.column("points", Align::kRight);
  }
  for (const std::string& split : archive.splits()) {
    for (const ArchivePair& pair : archive.pairs(split)) {
      const ArchiveSubject& moving = archive.subjects()[static_cast<std::size_t>(pair.moving)];
      const ArchiveSubject& fixed = archive.subjects()[static_cast<std::size_t>(pair.fixed)];
      std::vector<std::string> row = {split, moving.id, fixed.id, group_of(moving), group_of(fixed)};
      if (archive.has_keypoints()) {
        row.push_back(str(keypoints_of(archive.subjects(), pair).fixed.size()));
      }
      table.row(std::move(row));
    }
  }
  return table.text();
}

std::string findings_text(const Inspection& inspection) {
  TextTable table;
  table.column("look at", Align::kLeft);
  table.column("because", Align::kLeft);
  bool any = false;
  for (const SubjectInspection& s : inspection.subjects) {
    for (const Finding& finding : s.findings) {
      table.row({s.id, finding.text});
      any = true;
    }
  }
  std::string text = any ? table.text() : "nothing looks wrong\n";
  if (!inspection.sides_told) {
    text += "left and right cannot be told apart from the images of this set: mirrored scans are ";
    text += inspection.labels_judged ? "found by labels alone\n" : "not found\n";
  }
  return text;
}

}  // namespace regatta::app
