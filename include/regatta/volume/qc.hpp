// Pictures that let a person see at a glance whether packing or a registration went wrong. PNG, no plot library.
//
// Slices are shown as sagittal (seen from the left, front to the right), coronal and axial (the patient's right at
// the right), all with pixels of equal millimetres.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// A picture sheet for a whole data set, on pages of 25 subjects: for each subject three slices through the middle of
/// its labels (without any: of its foreground), label outlines in colours, a title, and warnings in a colour of their
/// own. Holds the tiles in memory, about 0.3 MB a subject.
class SubjectSheet {
 public:
  /// @param shape, spacing, orientation  of the packed grid
  SubjectSheet(const Shape3& shape, const Spacing3& spacing, const std::string& orientation);
  ~SubjectSheet();
  SubjectSheet(const SubjectSheet&) = delete;
  SubjectSheet& operator=(const SubjectSheet&) = delete;

  /// @param title   id, split ...: one line
  /// @param image   image(i): voxel number i of [D, H, W], 0..1; few of them are looked at
  /// @param labels  as many values as the image, or empty
  /// @param flags   what is wrong with the subject, in few words; empty: nothing
  void add(const std::string& title, const std::function<float(std::size_t)>& image,
           std::span<const std::uint8_t> labels, const std::string& flags = {});

  /// Writes each page atomically: one is `path` itself, several are `path` with _01, _02 ... before its extension.
  /// Pages of an earlier sheet of that name, which this one does not have, are removed.
  /// @param title  headline @param threads  pages written at the same time; 0: one a core
  /// @return the files, in order @throws DataError if the disk refuses
  std::vector<std::filesystem::path> write(const std::filesystem::path& path, const std::string& title,
                                           int threads = 0) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One registration: rows are the three planes; columns are fixed, moving, warped, |fixed - moving|, |fixed - warped|
/// (one scale of brightness for both) and the deformed grid x + u(x), a line every few voxels. Letters mark left and
/// right (L, R), back and front (P, A); where the field folds, that is where the determinant of its Jacobian (central
/// differences) is not positive, the warped image and the grid are red.
/// @param fixed, moving, warped  [D, H, W] on the packed grid, 0..1
/// @param field  [3, D, H, W], voxels
/// @param title  over the picture, cut to its width; empty: none
void registration_qc(const std::filesystem::path& path, std::span<const float> fixed, std::span<const float> moving,
                     std::span<const float> warped, std::span<const float> field, const Shape3& shape,
                     const Spacing3& spacing = {1.0, 1.0, 1.0}, const std::string& orientation = "RAS",
                     const std::string& title = "");

}  // namespace regatta
