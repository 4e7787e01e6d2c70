// Displacement fields from files, in the forms in which programs of this field write them, and between two arrays.
// They are written by nifti.hpp.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

enum class FieldForm {
  kSpace,  ///< millimetres in the file: where a fixed point lies in the moving scan's space
  kArrays  ///< voxels in the file: voxel x of the fixed array and voxel x + u(x) of the moving one, wherever they lie
};

/// A displacement field as everywhere here: [3, D, H, W], voxels, components in the order D, H, W, pull-back.
struct Displacement {
  Grid grid;  ///< of the file; npz: its shape, with voxels of 1 mm
  std::vector<float> field;
  FieldForm form = FieldForm::kSpace;  ///< kSpace: made voxels of `grid`
  std::string affine_source;           ///< sform, qform, pixdim or none (npz)
};

/// Reads a field in one of these forms, told by the file's dimensions:
///  - NIfTI (X, Y, Z, 1, 3) with intent 1007, as `write_displacement`, ITK and ANTs write it: LPS millimetres;
///  - NIfTI (D, H, W, 3), as Learn2Reg's `disp_FFFF_MMMM.nii.gz`, or (3, D, H, W), as VoxelMorph's: voxels;
///  - npz of one array, `arr_0` or `vol`, of either order, float16 and integers too: voxels.
/// @throws DataError, one line that names the file: as `read_volume`, other dimensions, NaN or infinite values
Displacement read_displacement(const std::filesystem::path& path);

/// A field of twice the size along each axis, its values kept: how Learn2Reg's evaluation of 2021 read fields of half
/// the resolution, whose values are voxels of the whole one. Quadratic splines through the voxels, corners on corners,
/// as SciPy's `zoom(component, 2, order=2)`.
/// @param field  [3, D, H, W] of this shape
std::vector<float> doubled_displacement(std::span<const float> field, const Shape3& shape);

/// A field of half the size along each axis, its values kept, which `doubled_displacement` doubles again: linear,
/// corners on corners. @param field  [3, D, H, W] of this shape. @throws DataError for an odd size
std::vector<float> halved_displacement(std::span<const float> field, const Shape3& shape);

/// Writes a field as Learn2Reg of 2021 reads it: npz, one array `arr_0`, float16, [3, D, H, W], values in voxels.
/// Atomic. @throws DataError if a value does not fit float16 (65504), or the disk refuses
void write_npz_displacement(const std::filesystem::path& path, std::span<const float> field, const Shape3& shape);

/// A displacement of space as one between two arrays: M^-1 F (x + u) - x. Ends that rounding alone puts beyond the
/// centres of the moving grid's outer voxels, by up to 1e-4 voxels, are put on them.
/// @param field   [3, D, H, W] in voxels of `fixed`
/// @param moving  grid of the moving scan; where it is the fixed one within 1e-4 voxels, the field comes back as it is
std::vector<float> displacement_between(std::span<const float> field, const Grid& fixed, const Grid& moving);

/// The name under which Learn2Reg looks for a pair's field: `disp_0003_0007.nii.gz` for scans NAME_0003_0000.nii.gz and
/// NAME_0007_0000.nii.gz, with both modalities for others than equal ones or 0000 and 0001. Empty for scans of other
/// names.
std::string learn2reg_name(const std::filesystem::path& fixed, const std::filesystem::path& moving);

}  // namespace regatta
