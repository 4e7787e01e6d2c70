#include "regatta/volume/pack.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <future>
#include <limits>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "parallel.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/volume/archive_writer.hpp"
#include "regatta/volume/qc.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostTiles = 200;  // of the picture sheet

/// Calls produce(i) for i = 0..count-1 on `threads` threads and consume(i, result) in order on this one.
/// The first error in order is thrown.
template <class Produce, class Consume>
void in_order(std::size_t count, int threads, const Produce& produce, const Consume& consume) {
  using Result = decltype(produce(std::size_t{0}));
  std::deque<std::future<Result>> running;
  std::size_t started = 0;
  for (std::size_t i = 0; i < count; ++i) {
    while (started < count && running.size() < static_cast<std::size_t>(threads)) {
      running.push_back(std::async(std::launch::async, produce, started++));
    }
    Result result = running.front().get();
    running.pop_front();
    if (leave_requested()) {
      throw Error(ExitCode::kFailure, str("pack: stopped by signal ", leave_signal(), "; no archive was written"));
    }
    consume(i, std::move(result));
  }
}

/// Puts the subject's id in front of an error about its files.
template <class Body>
auto for_subject(const SubjectEntry& subject, const Body& body) {
  try {
    return body();
  } catch (const DataError& error) {
    throw DataError(str("subject '", subject.id, "': ", error.what()));
  }
}

/// Label values of one subject after merging; its image's header and its labels' grid are checked on the way.
std::set<std::int32_t> check_subject(const DatasetFile& dataset, const SubjectEntry& subject) {
  const std::string& orientation = dataset.options.npz_orientation;
  const VolumeHeader image = read_volume_header(subject.files.front(), VolumePart::kImage, orientation);
  std::set<std::int32_t> values;
  if (subject.labels.empty()) {
    return values;
  }
  const LabelVolume labels = read_label_volume(subject.labels, orientation);
  REGATTA_REQUIRE(labels.grid.shape == image.grid.shape, DataError, subject.labels, ": labels have shape ",
                  shape_text(labels.grid.shape), ", their image has ", shape_text(image.grid.shape));
  REGATTA_REQUIRE(same_grid(image.grid.affine, labels.grid.affine, image.grid.shape), DataError, subject.labels,
                  ": labels lie elsewhere in space than their image: affine ", join(labels.grid.affine, " "),
                  ", the image's is ", join(image.grid.affine, " "));
  std::int32_t last = std::numeric_limits<std::int32_t>::min();
  for (const std::int32_t value : labels.labels) {
    if (value != last) {  // runs are long, the set is slow
      values.insert(dataset.label(value));
      last = value;
    }
  }
  return values;
}

struct PackedSubject {
  ArchiveSubject row;
  Grid grid;
  std::vector<float> image;
  std::vector<std::uint8_t> labels;
};

PackedSubject pack_subject(const DatasetFile& dataset, const SubjectEntry& subject, const PreprocessOptions& preprocess,
                           const std::vector<std::int64_t>& ids) {
  const std::string& orientation = dataset.options.npz_orientation;
  const Volume volume = read_volume(subject.files.front(), orientation);
  PreparedImage image = prepare_image(volume, preprocess, 1);
  PackedSubject out;
  out.grid = image.map.packed;
  out.row.id = subject.id;
  out.row.split = subject.split;
  out.row.affine = image.map.packed.affine;
  out.row.original_affine = volume.grid.affine;
  out.row.original_shape = volume.grid.shape;
  out.row.image_source = fs::path(subject.files.front()).filename().string();
  out.row.intensity_low = image.low;
  out.row.intensity_high = image.high;
  out.image = std::move(image.voxels);
  if (!subject.labels.empty()) {
    const auto labels = prepare_labels(read_label_volume(subject.labels, orientation), image.map, 1);
    std::map<std::int32_t, std::uint8_t> value_of;
    out.labels.reserve(labels.size());
    for (const std::int32_t label : labels) {
      auto known = value_of.find(label);
      if (known == value_of.end()) {
        const auto at =
            std::lower_bound(ids.begin(), ids.end(), std::int64_t{dataset.label(label)}, [](auto a, auto b) {
              // 0 stands first, whatever the sign of the others
              return a == 0 ? b != 0 : b != 0 && a < b;
            });
        known = value_of.emplace(label, static_cast<std::uint8_t>(at - ids.begin())).first;
      }
      out.labels.push_back(known->second);
    }
  }
  return out;
}

/// Background first, then the others in rising order; empty if no subject has labels.
std::vector<std::int64_t> check_all(const DatasetFile& dataset, int threads) {
  Progress progress("check", static_cast<std::int64_t>(dataset.subjects.size()), ProgressOptions::for_stderr());
  std::set<std::int32_t> values;
  bool any = false;
  in_order(
      dataset.subjects.size(), threads,
      [&](std::size_t i) {
        return for_subject(dataset.subjects[i], [&] { return check_subject(dataset, dataset.subjects[i]); });
      },
      [&](std::size_t i, std::set<std::int32_t> found) {
        any = any || !dataset.subjects[i].labels.empty();
        values.merge(found);
        progress.update(static_cast<std::int64_t>(i) + 1, dataset.subjects[i].id);
      });
  progress.finish();
  if (!any) {
    return {};
  }
  values.erase(0);
  REGATTA_REQUIRE(values.size() <= 255, DataError, "labels: ", values.size(),
                  " values without the background, at most 255 allowed: merge some (/labels/merge) or leave others out "
                  "(/labels/others: background)");
  std::vector<std::int64_t> ids = {0};
  ids.insert(ids.end(), values.begin(), values.end());
  return ids;
}

/// The options as they will be stored: what was left to the first subject is filled in from it.
PreprocessOptions settle_options(const DatasetFile& dataset) {
  PreprocessOptions options = dataset.options.preprocess;
  if (!options.shape.empty() && !options.spacing_mm.empty()) {
    return options;
  }
  const SubjectEntry& first = dataset.subjects.front();
  const VolumeHeader header =
      read_volume_header(first.files.front(), VolumePart::kImage, dataset.options.npz_orientation);
  Volume blank;  // the shape and spacing of the packed grid do not depend on the voxels
  blank.grid = header.grid;
  PreprocessOptions plain = options;
  plain.center = "volume";
  const Grid packed = map_to_packed_grid(blank, plain).packed;
  if (options.shape.empty()) {
    for (const std::int64_t size : packed.shape) {
      options.shape.push_back(static_cast<int>(size));
    }
  }
  return options;
}

class Packer {
 public:
  Packer(const DatasetFile& dataset, const PackOptions& options)
      : dataset_(dataset), options_(options), threads_(options.threads > 0 ? options.threads : available_threads()) {}

  PackSummary run();

 private:
  void start(const PackedSubject& first);
  void add(std::size_t index, const PackedSubject& subject);
  void require_same_grid(const PackedSubject& subject) const;
  PackSummary summary(double seconds, const std::string& fingerprint) const;

  const DatasetFile& dataset_;
  const PackOptions& options_;
  int threads_;
  PreprocessOptions preprocess_;
  std::vector<std::int64_t> label_ids_;
  Shape3 shape_{};
  Spacing3 spacing_{};
  std::optional<ArchiveWriter> writer_;
  std::optional<SubjectSheet> sheet_;
  fs::path qc_;
};

void Packer::start(const PackedSubject& first) {
  shape_ = first.grid.shape;
  spacing_ = spacing_of(first.grid.affine);
  ArchiveHeader header;
  header.name = dataset_.options.name;
  header.shape = shape_;
  header.spacing = spacing_;
  header.orientation = preprocess_.orientation;
  header.type = preprocess_.type == "uint8" ? VoxelType::kUint8 : VoxelType::kFloat32;
  header.subjects = static_cast<std::int64_t>(dataset_.subjects.size());
  header.label_ids = label_ids_;
  // Spacing too, so that a new scan of another spacing is brought to that of the training data.
  preprocess_.spacing_mm.assign(spacing_.begin(), spacing_.end());
  header.preprocessing = dump_line(write_options(preprocess_));
  header.deflate = options_.deflate;
  writer_.emplace(options_.output, std::move(header));
  sheet_.emplace(shape_, spacing_, preprocess_.orientation);
}

void Packer::require_same_grid(const PackedSubject& subject) const {
  const SubjectEntry& first = dataset_.subjects.front();
  REGATTA_REQUIRE(subject.grid.shape == shape_, DataError, "shape ", shape_text(subject.grid.shape), ", '", first.id,
                  "' has ", shape_text(shape_), ": give /preprocess/shape");
  const Spacing3 spacing = spacing_of(subject.grid.affine);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    REGATTA_REQUIRE(std::abs(spacing[axis] / spacing_[axis] - 1.0) <= 1e-2, DataError, "spacing ",
                    spacing_text(spacing), " mm, '", first.id, "' has ", spacing_text(spacing_),
                    ": give /preprocess/spacing_mm");
  }
}

void Packer::add(std::size_t index, const PackedSubject& subject) {
  if (!writer_) {
    start(subject);
  }
  for_subject(dataset_.subjects[index], [&] { require_same_grid(subject); });
  if (preprocess_.type == "uint8") {
    const auto bytes = to_uint8(subject.image);
    writer_->add(subject.row, std::as_bytes(std::span(bytes)), subject.labels);
  } else {
    writer_->add(subject.row, std::as_bytes(std::span(subject.image)), subject.labels);
  }
  const std::size_t every = (dataset_.subjects.size() + kMostTiles - 1) / kMostTiles;
  if (index % every == 0) {
    sheet_->add(str(subject.row.id, "  ", subject.row.split), subject.image, subject.labels);
  }
}

PackSummary Packer::summary(double seconds, const std::string& fingerprint) const {
  PackSummary out;
  out.subjects = static_cast<std::int64_t>(dataset_.subjects.size());
  for (const SubjectEntry& subject : dataset_.subjects) {
    ++out.split_subjects[subject.split];
    out.labelled += subject.labels.empty() ? 0 : 1;
  }
  for (const ArchivePair& pair : dataset_.pairs) {
    ++out.split_pairs[pair.split];
  }
  out.shape = shape_;
  out.spacing = spacing_;
  out.orientation = preprocess_.orientation;
  out.type = preprocess_.type == "uint8" ? VoxelType::kUint8 : VoxelType::kFloat32;
  out.labels = label_ids_.empty() ? 0 : label_ids_.size() - 1;
  out.bytes = fs::file_size(options_.output);
  out.seconds = seconds;
  out.fingerprint = fingerprint;
  out.qc = qc_;
  return out;
}

PackSummary Packer::run() {
  const double start_s = system_clock().monotonic_s();
  REGATTA_REQUIRE(options_.replace || !fs::exists(options_.output), DataError, options_.output.string(),
                  ": is there already; --force replaces it");
  const fs::path folder = fs::absolute(options_.output).parent_path();
  REGATTA_REQUIRE(fs::is_directory(folder), DataError, options_.output.string(), ": there is no folder ",
                  folder.string());
  REGATTA_REQUIRE(options_.deflate >= 0 && options_.deflate <= 9, ConfigError, "--deflate ", options_.deflate,
                  ", 0..9 allowed");
  qc_ = options_.qc.empty() ? fs::path(options_.output).replace_extension().concat("_qc.png") : options_.qc;
  label_ids_ = check_all(dataset_, threads_);
  preprocess_ = settle_options(dataset_);
  const PreprocessOptions settled = preprocess_;
  Progress progress("pack", static_cast<std::int64_t>(dataset_.subjects.size()), ProgressOptions::for_stderr());
  in_order(
      dataset_.subjects.size(), threads_,
      [&](std::size_t i) {
        return for_subject(dataset_.subjects[i],
                           [&] { return pack_subject(dataset_, dataset_.subjects[i], settled, label_ids_); });
      },
      [&](std::size_t i, const PackedSubject& subject) {
        add(i, subject);
        progress.update(static_cast<std::int64_t>(i) + 1, subject.row.id);
      });
  progress.finish();
  writer_->set_pairs(dataset_.pairs);
  const std::size_t tiles = std::min(dataset_.subjects.size(), kMostTiles);
  sheet_->write(qc_,
                str(dataset_.options.name.empty() ? options_.output.filename().string() : dataset_.options.name, ": ",
                    dataset_.subjects.size(), " subjects, ", shape_text(shape_), ", ", spacing_text(spacing_), " mm",
                    tiles < dataset_.subjects.size() ? str(", some of them shown") : std::string()));
  const std::string fingerprint = writer_->finish();
  return summary(system_clock().monotonic_s() - start_s, fingerprint);
}

}  // namespace

PackSummary pack_dataset(const DatasetFile& dataset, const PackOptions& options) {
  return Packer(dataset, options).run();
}

}  // namespace regatta
