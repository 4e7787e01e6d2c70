// Little made-up folders of scans for the tests of layouts and of init.
#pragma once

#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {

class ScanFolder {
 public:
  /// A NIfTI-1 file, .nii or .nii.gz by its name, with parents. @param values  file order; empty: 0, 1, 2 ...
  ScanFolder& scan(const std::string& path, const Shape3& shape = {4, 3, 2}, const Affine& affine = identity_affine(),
                   const std::vector<double>& values = {});

  /// A 4-D series of such frames.
  ScanFolder& series(const std::string& path, int frames, const Shape3& shape = {4, 3, 2});

  ScanFolder& text(const std::string& path, const std::string& content);

  std::filesystem::path path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

/// Spacing along the three axes, RAS.
Affine spaced(double d, double h, double w);

}  // namespace regatta::test
