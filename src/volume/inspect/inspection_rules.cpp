#include "volume/inspect/inspection_rules.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "volume/grid/parallel.hpp"
#include "volume/grid/right_angles.hpp"
#include "volume/grid/robust.hpp"
#include "volume/inspect/label_places.hpp"
#include "volume/inspect/orientation_check.hpp"

namespace regatta {
namespace {

std::string percent(double share) {
  return fixed_text(100.0 * share, share < 0.1 ? 1 : 0) + " %";
}

class Rules {
 public:
  Rules(std::span<SubjectMeasure> subjects, const Archive& archive, int threads, Inspection& inspection)
      : subjects_(subjects), archive_(archive), threads_(threads), inspection_(inspection) {}

  void apply() {
    orientation();
    labels();
    label_volumes();
    intensities();
    foreground();
    duplicates();
    near_duplicates();
    cropped();
    affine();
    masks_and_keypoints();
  }

 private:
  void orientation();
  void labels();
  void label_volumes();
  void intensities();
  void foreground();
  void duplicates();
  void near_duplicates();
  void cropped();
  void affine();
  void masks_and_keypoints();
  void judge_place(SubjectInspection& s, const OrientationVerdict& image, const PlacesVerdict& labels) const;

  static void found(SubjectInspection& s, std::string rule, std::string brief, std::string text) {
    s.findings.push_back({std::move(rule), std::move(brief), std::move(text)});
  }

  std::string named(std::size_t i) const {
    return str("'", subjects_[i].shown.id, "' (", subjects_[i].shown.split, ")");
  }

  bool is_labelled(std::size_t i) const {
    const auto& voxels = subjects_[i].label_voxels;
    return std::any_of(voxels.begin(), voxels.end(), [](std::int64_t n) { return n > 0; });
  }

  std::span<SubjectMeasure> subjects_;
  const Archive& archive_;
  int threads_;
  Inspection& inspection_;
};

void Rules::judge_place(SubjectInspection& s, const OrientationVerdict& image, const PlacesVerdict& labels) const {
  const std::string fits =
      str("correlation ", fixed_text(image.best_other, 3), ", ", fixed_text(image.as_is, 3), " as is");
  if (image.wrong_axes || labels.wrong_axes) {
    const std::string code = image.wrong_axes ? image.best_code : labels.best_code;
    std::string text =
        str("wrong orientation suspected: looks like ", code, " where ", archive_.orientation(), " is expected");
    text += image.wrong_axes ? str(" (image: ", fits, ")") : "";
    text += labels.wrong_axes ? str(" (places of the labels: correlation ", fixed_text(labels.best_other, 3), ", ",
                                    fixed_text(labels.as_is, 3), " as is)")
                              : "";
    found(s, "wrong_axes", str("orientation ", code, "?"), std::move(text));
    return;
  }
  if (!image.mirrored && !labels.sides_exchanged) {
    return;
  }
  std::vector<std::string> signs;
  if (image.judged && inspection_.sides_told) {
    signs.push_back(str("image: asymmetry correlates ", fixed_text(image.asymmetry, 2), " with the others', usually ",
                        fixed_text(inspection_.common_asymmetry, 2), "; fit ", fixed_text(image.mirrored_fit, 4),
                        " mirrored, ", fixed_text(image.as_is, 4), " as is"));
  }
  if (labels.sides_exchanged) {
    signs.push_back(str("labels on exchanged sides: their places fit ", fixed_text(labels.mirrored, 3), " mirrored, ",
                        fixed_text(labels.as_is, 3), " as is"));
  }
  const bool image_fine = image.judged && inspection_.sides_told && !image.mirrored && image.asymmetry > 0.0;
  const char* what = labels.sides_exchanged && image_fine ? "labels mirrored against their image suspected"
                                                          : "left/right mirrored suspected";
  found(s, "mirrored", labels.sides_exchanged && image_fine ? "labels mirrored?" : "left/right mirrored?",
        str(what, " (", join(signs, "; "), ")"));
}

void Rules::orientation() {
  std::vector<Level> scans;
  std::vector<std::string> groups;
  std::vector<LabelPlaces> places;
  for (SubjectMeasure& m : subjects_) {
    scans.push_back(std::move(m.scan));
    groups.push_back(m.shown.group);
    LabelPlaces labels;
    for (std::size_t label = 1; label < m.label_voxels.size(); ++label) {
      labels.present.push_back(m.label_voxels[label] > 0);
      labels.centres.push_back(m.label_centres[label]);
    }
    places.push_back(std::move(labels));
  }
  const OrientationCheck images = check_orientations(scans, groups, archive_.orientation(), threads_);
  const std::vector<PlacesVerdict> labels = check_label_places(places, archive_.orientation());
  inspection_.sides_told = images.sides_told;
  inspection_.labels_judged =
      std::any_of(labels.begin(), labels.end(), [](const PlacesVerdict& verdict) { return verdict.judged; });
  inspection_.common_asymmetry = images.common_asymmetry;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    SubjectInspection& s = subjects_[i].shown;
    const OrientationVerdict& v = images.scans[i];
    s.fit_as_is = v.judged ? v.as_is : kNone;
    s.fit_mirrored = v.judged ? v.mirrored_fit : kNone;
    s.fit_other_axes = v.best_other;
    s.other_axes = v.best_code;
    s.asymmetry = v.judged ? v.asymmetry : kNone;
    judge_place(s, v, labels[i]);
  }
}

void Rules::labels() {
  const std::vector<std::int64_t>& ids = archive_.label_ids();
  inspection_.label_subjects.assign(ids.size(), 0);
  std::int64_t labelled = 0;
  std::map<std::string, std::int64_t> of_split;
  std::map<std::string, std::int64_t> labelled_of_split;
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    ++of_split[subjects_[i].shown.split];
    labelled_of_split[subjects_[i].shown.split] += subjects_[i].shown.has_labels ? 1 : 0;
    labelled += is_labelled(i) ? 1 : 0;
    for (std::size_t label = 1; label < subjects_[i].label_voxels.size(); ++label) {
      inspection_.label_subjects[label] += subjects_[i].label_voxels[label] > 0 ? 1 : 0;
    }
  }
  const auto usual = [](std::int64_t have, std::int64_t others) {
    return others >= static_cast<std::int64_t>(kLeastOthersWithLabel) &&
           static_cast<double>(have) >= kUsualLabelShare * static_cast<double>(others);
  };
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    SubjectInspection& s = subjects_[i].shown;
    if (!s.has_labels) {
      if (usual(labelled_of_split[s.split], of_split[s.split] - 1)) {
        found(s, "no_labels", "no labels",
              str("no labels, ", labelled_of_split[s.split], " of the ", of_split[s.split] - 1, " others of split ",
                  s.split, " have them"));
      }
      continue;
    }
    if (!is_labelled(i)) {
      found(s, "empty_labels", "empty labels", "empty labels: the label map is background throughout");
      continue;
    }
    std::vector<std::int64_t> missing;
    for (std::size_t label = 1; label < ids.size(); ++label) {
      if (subjects_[i].label_voxels[label] == 0 && usual(inspection_.label_subjects[label], labelled - 1)) {
        missing.push_back(ids[label]);
      }
    }
    if (!missing.empty()) {
      const std::size_t count = missing.size();
      missing.resize(std::min<std::size_t>(count, 10));
      found(s, "missing_labels", str(count, count == 1 ? " label missing" : " labels missing"),
            str(count == 1 ? "label " : "labels ", join(missing, ", "), count > missing.size() ? " ..." : "",
                " missing, which the others have"));
    }
  }
}

void Rules::label_volumes() {
  struct Odd {
    double deviation;
    std::string text;
  };
  std::vector<std::vector<Odd>> odd(subjects_.size());
  const std::vector<std::int64_t>& ids = archive_.label_ids();
  for (std::size_t label = 1; label < ids.size(); ++label) {
    std::vector<double> logs;
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      if (is_labelled(i) && subjects_[i].label_voxels[label] > 0) {
        logs.push_back(std::log(subjects_[i].shown.label_ml[label]));
      }
    }
    if (logs.size() < kLeastForSpread) {
      continue;
    }
    const Spread spread = spread_of(logs);
    const double median = std::exp(spread.median);
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      if (!is_labelled(i) || subjects_[i].label_voxels[label] == 0) {
        continue;
      }
      const double ml = subjects_[i].shown.label_ml[label];
      const double away = std::abs(deviation(std::log(ml), spread, kLeastLogVolume));
      if (away > kUnusual && std::max(ml / median, median / ml) > kLabelVolumeFactor) {
        odd[i].push_back({away, str("label ", ids[label], ": ", fixed_text(ml, 2), " ml, usually ",
                                    fixed_text(median, 2), " (", fixed_text(away, 1), " sd)")});
      }
    }
  }
  constexpr std::size_t kShown = 3;
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    std::stable_sort(odd[i].begin(), odd[i].end(),
                     [](const Odd& a, const Odd& b) { return a.deviation > b.deviation; });
    std::vector<std::string> texts;
    for (std::size_t k = 0; k < std::min(kShown, odd[i].size()); ++k) {
      texts.push_back(odd[i][k].text);
    }
    if (!texts.empty()) {
      const std::size_t more = odd[i].size() - texts.size();
      found(subjects_[i].shown, "label_volume", "label volume",
            str("label volume far off: ", join(texts, "; "), more > 0 ? str("; ", more, " more") : std::string()));
    }
  }
}

void Rules::intensities() {
  if (subjects_.size() < kLeastForSpread) {
    return;
  }
  const std::size_t modalities = subjects_.front().shown.intensities.size();
  for (std::size_t m = 0; m < modalities; ++m) {
    const auto of = [&](const std::function<double(const IntensityMeasure&)>& value) {
      std::vector<double> out;
      for (const SubjectMeasure& s : subjects_) {
        out.push_back(value(s.shown.intensities[m]));
      }
      return out;
    };
    const auto log_range = [](const IntensityMeasure& v) { return std::log(std::max(v.high - v.low, 1e-30)); };
    const Spread means = spread_of(of([](const IntensityMeasure& v) { return v.mean; }));
    const Spread ranges = spread_of(of(log_range));
    for (SubjectMeasure& subject : subjects_) {
      const IntensityMeasure& v = subject.shown.intensities[m];
      const std::string where = modalities > 1 ? str(" of modality ", archive_.modalities()[m]) : std::string();
      if (std::abs(deviation(v.mean, means, kLeastIntensity)) > kUnusual &&
          std::abs(v.mean - means.median) > kIntensityDifference) {
        found(subject.shown, "intensity", "intensity",
              str("intensity far off: mean of the packed foreground", where, " ", fixed_text(v.mean, 3), ", usually ",
                  fixed_text(means.median, 3)));
      }
      const double factor = std::exp(std::abs(log_range(v) - ranges.median));
      if (std::abs(deviation(log_range(v), ranges, kLeastLogRange)) > kUnusual && factor > kRangeFactor) {
        found(subject.shown, "intensity_range", "range of the file",
              str("range of the file", where, " far off: ", fixed_text(v.low, 2), "..", fixed_text(v.high, 2),
                  ", which is ", fixed_text(factor, 1), " times ", log_range(v) > ranges.median ? "wider" : "narrower",
                  " than usual: other units?"));
      }
    }
  }
}

void Rules::foreground() {
  std::vector<double> shares;
  for (const SubjectMeasure& m : subjects_) {
    shares.push_back(m.shown.foreground);
  }
  const double median = shares.size() >= kLeastForSpread ? median_of(shares) : 0.0;
  for (SubjectMeasure& m : subjects_) {
    SubjectInspection& s = m.shown;
    if (s.foreground < std::max(kLeastForeground, kForegroundFactor * median)) {
      found(s, "nearly_empty", "nearly empty",
            str("nearly empty image: foreground is ", percent(s.foreground), " of the voxels",
                median > 0.0 ? str(", usually ", percent(median)) : std::string()));
    }
  }
}

void Rules::duplicates() {
  std::unordered_map<std::uint64_t, std::size_t> images;
  std::unordered_map<std::uint64_t, std::size_t> labels;
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    SubjectInspection& s = subjects_[i].shown;
    const auto [image, is_new] = images.emplace(subjects_[i].image_hash, i);
    if (!is_new) {
      found(s, "duplicate", str("same as ", subjects_[image->second].shown.id),
            str("duplicate: the same packed voxels as ", named(image->second)));
    }
    if (is_labelled(i)) {
      const auto [label, is_new_map] = labels.emplace(subjects_[i].labels_hash, i);
      if (!is_new_map && is_new) {
        found(s, "same_labels", str("labels of ", subjects_[label->second].shown.id),
              str("the same label map as ", named(label->second), ", whose image is another"));
      }
    }
  }
}

void Rules::near_duplicates() {
  const std::size_t count = subjects_.size();
  struct Closest {
    double r = -1.0;
    std::size_t other = 0;
    double before_r = -1.0;  ///< of the subjects before this one
    std::size_t before = 0;
  };
  std::vector<Closest> closest(count);
  parallel_for(static_cast<std::int64_t>(count), threads_, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const std::vector<float>& a = subjects_[i].thumbnail;
      for (std::size_t k = 0; k < count; ++k) {
        const std::vector<float>& b = subjects_[k].thumbnail;
        if (k == i || a.empty() || b.empty() || subjects_[i].shown.group == subjects_[k].shown.group ||
            subjects_[i].image_hash == subjects_[k].image_hash) {
          continue;  // frames and visits are alike, and exact copies are named already
        }
        const double r = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
        Closest& c = closest[i];
        if (r > c.r) {
          c.r = r;
          c.other = k;
        }
        if (k < i && r > c.before_r) {
          c.before_r = r;
          c.before = k;
        }
      }
    }
  });
  std::vector<double> distances;
  for (const Closest& c : closest) {
    if (c.r > -1.0) {
      distances.push_back(1.0 - c.r);
    }
  }
  const double most = distances.size() >= kLeastForSpread ? kNearDuplicateDistance * median_of(distances) : 2.0;
  for (std::size_t i = 0; i < count; ++i) {
    const Closest& c = closest[i];
    if (c.before_r > kNearDuplicate && 1.0 - c.before_r < most) {
      found(subjects_[i].shown, "near_duplicate", str("nearly ", subjects_[c.before].shown.id),
            str("nearly a duplicate of ", named(c.before), ": thumbnails correlate ", fixed_text(c.before_r, 5)));
    }
  }
}

void Rules::cropped() {
  const auto end_name = [](char letter) {
    switch (letter) {
      case 'R': return "right";
      case 'L': return "left";
      case 'A': return "front";
      case 'P': return "back";
      case 'S': return "top";
      default: return "bottom";
    }
  };
  const bool few = subjects_.size() < kLeastForSpread;
  std::vector<std::vector<std::string>> cut(subjects_.size());
  for (std::size_t face = 0; face < 6; ++face) {
    std::vector<double> shares;
    for (const SubjectMeasure& m : subjects_) {
      shares.push_back(m.shown.border[face]);
    }
    const Spread spread = few ? Spread{} : spread_of(shares);
    const char letter = archive_.orientation()[face / 2];
    const auto full = std::count_if(shares.begin(), shares.end(), [](double share) { return share > kCroppedAlone; });
    if (few && 2 * full >= std::ssize(shares)) {
      continue;  // as lungs and short-axis stacks do
    }
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      const bool unusual =
          shares[i] - spread.median > kCropped && deviation(shares[i], spread, kLeastBorder) > kUnusual;
      if (few ? shares[i] > kCroppedAlone : unusual) {
        cut[i].push_back(str(percent(shares[i]), " of the outermost slice at the ",
                             end_name(face % 2 == 0 ? opposite(letter) : letter),
                             few ? std::string() : str(" (usually ", percent(spread.median), ")")));
      }
    }
  }
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    if (!cut[i].empty()) {
      found(subjects_[i].shown, "cropped", "cut off", str("foreground cut off: it fills ", join(cut[i], ", ")));
    }
  }
}

void Rules::affine() {
  std::vector<double> fits;
  for (const SubjectMeasure& m : subjects_) {
    if (std::isfinite(m.shown.affine_ncc)) {
      fits.push_back(m.shown.affine_ncc);
    }
  }
  const Spread spread = spread_of(fits);
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    const double ncc = subjects_[i].shown.affine_ncc;
    if (!std::isfinite(ncc)) {
      continue;
    }
    const std::string doubt = alignment_doubt(ncc, archive_.subjects()[i].atlas_to_subject);
    const bool unusual = fits.size() >= kLeastForSpread && ncc < spread.median - kAffineDifference &&
                         deviation(ncc, spread, kLeastAffineDeviation) < -kUnusual;
    if (!doubt.empty() || unusual) {
      found(subjects_[i].shown, "affine", "affine alignment",
            str("affine alignment doubtful: ", doubt.empty() ? str("local correlation ", fixed_text(ncc, 3)) : doubt,
                "; usual correlation ", fixed_text(spread.median, 3)));
    }
  }
}

void Rules::masks_and_keypoints() {
  for (SubjectMeasure& m : subjects_) {
    SubjectInspection& s = m.shown;
    if (s.has_mask && s.mask_share <= 0.0) {
      found(s, "mask_empty", "empty mask", "the mask covers nothing");
    }
    if (s.has_mask && s.mask_share >= kFullMask) {
      found(s, "mask_full", "full mask", str("the mask covers everything (", percent(s.mask_share), ")"));
    }
    if (s.keypoints_outside > 0) {
      found(s, "keypoints", "key-points outside",
            str(s.keypoints_outside, " of ", s.keypoints, " key-points lie outside the packed grid"));
    }
  }
}

}  // namespace

void apply_rules(std::span<SubjectMeasure> subjects, const Archive& archive, int threads, Inspection& inspection) {
  Rules(subjects, archive, threads, inspection).apply();
}

}  // namespace regatta
