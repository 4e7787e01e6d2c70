// A folder of scans as a layout sees it: names and sizes of all files below, headers on demand. No voxels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

struct TreeFile {
  std::string path;  ///< relative to the tree's folder, with '/'
  std::uintmax_t bytes = 0;
};

/// What init needs of a volume's header.
struct ScanHeader {
  Grid grid;
  int frames = 1;
  bool is_placed = true;  ///< false: a NIfTI header without sform and qform, left and right are a guess
  bool has_space = true;  ///< false: that, or an npz
  int space_code = 0;     ///< as FileSpace::code
};

class ScanTree {
 public:
  /// Hidden files and folders are left out. Folders behind symbolic links are entered, each once, unless they lead back
  /// into this one or to one that holds it.
  /// @throws DataError if the folder is missing; naming the folder, if it or one below cannot be listed
  static ScanTree read(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const std::vector<TreeFile>& files() const { return files_; }  ///< by path
  bool has(const std::string& path) const { return sizes_.contains(path); }
  std::uintmax_t bytes(const std::string& path) const { return sizes_.at(path); }
  std::filesystem::path full(const std::string& path) const { return folder_ / path; }

  /// Paths of volume files, sorted; of a pair the .hdr alone.
  const std::vector<std::string>& volumes() const { return volumes_; }

  /// The volume of this stem (see `stem_of`) in this folder, with any ending; "" if there is none.
  std::string find_volume(const std::string& folder, const std::string& stem) const;

  /// Read at the first call; nullptr for a file that `unreadable` then names.
  const ScanHeader* header(const std::string& path) const;

  /// Volume files whose header is none, each with what is wrong with it.
  const std::map<std::string, std::string>& unreadable() const { return unreadable_; }

 private:
  std::filesystem::path folder_;
  std::vector<TreeFile> files_;
  std::map<std::string, std::uintmax_t> sizes_;
  std::vector<std::string> volumes_;
  mutable std::map<std::string, ScanHeader> headers_;
  mutable std::map<std::string, std::string> unreadable_;
};

/// File name without its folder and, of a volume, its ending: "imagesTr/p1.nii.gz" -> "p1".
std::string stem_of(const std::string& path);

/// "imagesTr/p1.nii.gz" -> "imagesTr"; "" at the top.
std::string folder_of(const std::string& path);

/// folder + "/" + name, or name at the top.
std::string path_in(const std::string& folder, const std::string& name);

/// Characters that a subject's id may not have become '_'.
std::string id_from(const std::string& text);

std::string lower_case(const std::string& text);

/// The four digits of a name that ends in _NNNN, as in p1_0001; "" without. @param rest  the name before them
std::string four_digits(const std::string& stem, std::string* rest = nullptr);

/// The case of one of several scans, P_12 of P_12_0000; a name with one number alone is a case of its own.
std::string case_of(const std::string& stem);

}  // namespace regatta
