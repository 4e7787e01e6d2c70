// Transforms from files of ITK, ANTs, greedy, FSL, uniGradICON, Learn2Reg and ourselves, told apart by content, and
// affines into files of ITK's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "regatta/volume/transform.hpp"

namespace regatta {

/// The grids of the two scans, which some kinds of files need.
struct TransformGrids {
  std::optional<Grid> fixed;
  std::optional<Grid> moving;
};

struct TransformFile {
  Transform transform;       ///< fixed to moving, inverted where that was asked for
  std::string kind;          ///< "ITK affine", "field 160x192x224", "ITK composite of 2" ...
  std::optional<Grid> grid;  ///< of the first field in it, or of its inverse's
};

/// Reads one transform as it stands on a command line: FILE, or as ANTs has it `[FILE,0]` and, inverted, `[FILE,1]`; as
/// greedy has it inverted `FILE,-1`; of FLIRT, whose matrices look like greedy's, `fsl:FILE`.
///  - NIfTI or npz: displacement fields, see displacement.hpp. Fields of voxels (Learn2Reg, VoxelMorph) lead from the
///    fixed array to the moving one and need the moving grid; npz needs the fixed one too
///  - ITK's HDF5 (`.h5`, `.hdf5`): affine, rigid, similarity and translation transforms, displacement fields, and
///    composites of them, whose last one is applied first, as ANTs and uniGradICON write them
///  - ITK's text (`.txt`, `.tfm`), the same kinds without fields; ANTs' binary `.mat`
///  - text of 4 x 4 numbers: RAS millimetres of the fixed scan to the moving one's (greedy, c3d_affine_tool); FLIRT's
///    with `fsl:`, moving to fixed in its scaled voxels, which needs both grids
/// @throws DataError, one line that names the file: missing, of no kind above, damaged, singular, of a kind of ITK's
///         that is not read (B-splines), in two dimensions, a grid that is needed and not known
TransformFile read_transform(const std::string& text, const TransformGrids& grids = {});

/// The chain of several, in ANTs's and greedy's order: the first maps the fixed point first, so that the last is the
/// first that is applied to the moving image.
Transform chain_of(const std::vector<TransformFile>& files);

/// Writes an affine for ITK, ANTs and SimpleITK: ANTs' binary if the name ends in .mat, else ITK's text (`.txt`,
/// `.tfm`). @param fixed_to_moving  RAS millimetres
/// @throws DataError for other endings, or if the disk refuses
void write_itk_affine(const std::filesystem::path& path, const Affine& fixed_to_moving);

}  // namespace regatta
