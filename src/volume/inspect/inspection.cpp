#include "regatta/volume/inspection.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/volume/keypoints.hpp"
#include "volume/grid/parallel.hpp"
#include "volume/inspect/inspection_measure.hpp"
#include "volume/inspect/inspection_rules.hpp"

namespace regatta {
namespace {

/// All subjects, a free thread takes the next; the first error that comes up is thrown once all have stopped.
std::vector<SubjectMeasure> measure_all(const Archive& archive, int threads) {
  const std::size_t count = archive.subjects().size();
  std::vector<SubjectMeasure> out(count);
  Progress progress("inspect", static_cast<std::int64_t>(count), ProgressOptions::for_stderr());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::int64_t done = 0;
  std::exception_ptr error;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        out[i] = measure_subject(archive, static_cast<std::int64_t>(i));
      } catch (const std::exception&) {
        const std::lock_guard lock(mutex);
        error = error ? error : std::current_exception();
        next = count;
        return;
      }
      const std::lock_guard lock(mutex);
      progress.update(++done, archive.subjects()[i].id);
    }
  };
  {
    std::vector<std::jthread> others;
    for (int i = 1; i < std::min<int>(threads, static_cast<int>(count)); ++i) {
      others.emplace_back(work);
    }
    work();
  }
  progress.finish();
  if (error) {
    std::rethrow_exception(error);
  }
  return out;
}

/// Key-points of pairs that have their own count for both scans.
void add_pair_keypoints(const Archive& archive, std::vector<SubjectMeasure>& measures) {
  if (!archive.has_keypoints()) {
    return;
  }
  std::set<std::pair<std::int64_t, std::int64_t>> seen;  // folds repeat pairs
  for (const std::string& split : archive.splits()) {
    for (const ArchivePair& pair : archive.pairs(split)) {
      if (!pair.keypoints || !seen.insert({pair.moving, pair.fixed}).second) {
        continue;
      }
      for (const auto& [subject, points] :
           {std::pair(pair.moving, &pair.keypoints->moving), std::pair(pair.fixed, &pair.keypoints->fixed)}) {
        SubjectInspection& shown = measures[static_cast<std::size_t>(subject)].shown;
        shown.keypoints += std::ssize(*points);
        shown.keypoints_outside += count_outside(*points, archive.shape());
      }
    }
  }
}

}  // namespace

Inspection inspect_archive(const Archive& archive, int threads) {
  threads = threads > 0 ? threads : available_threads();
  std::vector<SubjectMeasure> measures = measure_all(archive, threads);
  add_pair_keypoints(archive, measures);
  Inspection out;
  apply_rules(measures, archive, threads, out);
  for (SubjectMeasure& measure : measures) {
    out.subjects.push_back(std::move(measure.shown));
  }
  return out;
}

std::map<std::string, std::int64_t> subjects_of_splits(const Archive& archive) {
  std::map<std::string, std::int64_t> out;
  for (const ArchiveSubject& subject : archive.subjects()) {
    ++out[subject.split];
  }
  return out;
}

Verification verify_archive(const Archive& archive) {
  const auto count = static_cast<std::int64_t>(archive.subjects().size());
  const auto voxels = static_cast<std::size_t>(voxel_count(archive.shape()));
  std::vector<std::byte> image(voxels * (archive.image_type() == VoxelType::kUint8 ? 1 : 4));
  std::vector<std::uint8_t> labels(voxels);
  Verification out;
  const auto read = [&](std::size_t bytes, const auto& body) {
    try {
      body();
    } catch (const DataError& error) {
      out.damaged.emplace_back(error.what());
    }
    ++out.volumes;
    out.bytes += static_cast<double>(bytes);
  };
  const double start_s = system_clock().monotonic_s();
  Progress progress("verify", count, ProgressOptions::for_stderr());
  for (std::int64_t i = 0; i < count; ++i) {
    const ArchiveSubject& subject = archive.subjects()[static_cast<std::size_t>(i)];
    for (std::size_t modality = 0; modality < archive.modalities().size(); ++modality) {
      read(image.size(), [&] { archive.read_image(i, image, modality); });
    }
    if (subject.has_labels) {
      read(labels.size(), [&] { archive.read_labels(i, labels); });
    }
    if (subject.has_mask) {
      read(labels.size(), [&] { archive.read_mask(i, labels); });
    }
    progress.update(i + 1, subject.id);
  }
  progress.finish();
  out.seconds = system_clock().monotonic_s() - start_s;
  return out;
}

}  // namespace regatta
