// What is looked at before any time goes into packing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "regatta/base/error.hpp"
#include "regatta/volume/dataset.hpp"

namespace regatta {

/// Puts the subject's id in front of an error about its files.
template <class Body>
auto for_subject(const SubjectEntry& subject, const Body& body) {
  try {
    return body();
  } catch (const DataError& error) {
    throw DataError(str("subject '", subject.id, "': ", error.what()));
  }
}

struct SubjectCheck {
  std::set<std::int32_t> label_values;  ///< after merging
  bool is_placed = true;                ///< false: a header without sform and qform
};

/// Its image's header and its companions' grids are checked on the way. @throws DataError naming the file
SubjectCheck check_subject(const DatasetFile& dataset, const SubjectEntry& subject);

/// Row n of one list and row n of the other are the same place: both scans of a pair have as many, or one has none.
/// @throws DataError naming the files
void require_keypoint_pairs(const DatasetFile& dataset);

/// The same image twice is an error in two splits, and to be told in one; an atlas may be a subject too.
class TwinScans {
 public:
  TwinScans(const std::vector<SubjectEntry>& subjects, std::function<bool(std::size_t)> is_atlas)
      : subjects_(subjects), is_atlas_(std::move(is_atlas)), files_(subjects.size()) {}

  /// Before anything is packed. @param hash  of the subject's files @return a warning or ""
  std::string add_files(std::size_t index, const std::string& hash);

  /// Finds files that differ in their compression or format alone. @param checksum  of the packed voxels
  std::string add_voxels(std::size_t index, std::uint64_t checksum);

 private:
  std::string twins(std::size_t first, std::size_t second, const char* what) const;

  const std::vector<SubjectEntry>& subjects_;
  std::function<bool(std::size_t)> is_atlas_;
  std::vector<std::string> files_;  ///< hash of each subject's
  std::map<std::string, std::size_t> first_with_files_;
  std::map<std::uint64_t, std::size_t> first_with_voxels_;
};

/// Takes the background out. @throws DataError if more are left than an archive can hold
void require_few_labels(std::set<std::int32_t>& values);

/// One line about pairs within a group that lie elsewhere about their middles than their headers say; "" if there are
/// none. @param rows  as packed about their middles @param shape  of the packed grid
std::string centred_groups(const DatasetFile& dataset, const std::vector<ArchiveSubject>& rows, const Shape3& shape);

/// What a person may do about scans of a pair that hardly lie on each other.
std::string help_for_place(const PreprocessOptions& options);

/// Shape and spacing of the first subject's packed grid, from the header; of the atlas's where all are aligned to it,
/// of the first fixed scan's where scans lie by their headers.
Grid first_packed_grid(const DatasetFile& dataset);

/// The options as they will be stored: what was left to the first subject is filled in from it.
PreprocessOptions settle_options(const DatasetFile& dataset);

}  // namespace regatta
