// What ITK's transforms of three dimensions mean by their type and parameters, whatever file they are from.
#pragma once

#include <string>
#include <vector>

#include "regatta/volume/transform.hpp"

namespace regatta {

/// One transform as ITK stores it.
struct ItkTransform {
  std::string type;              ///< "AffineTransform_double_3_3"
  std::vector<double> fixed;     ///< fixed parameters
  std::vector<double> numbers;   ///< parameters; of a field empty
  std::vector<float> displaced;  ///< a field's parameters, LPS millimetres, component, x, y, z, the first fastest
};

bool is_composite(const ItkTransform& transform);
bool is_itk_field(const std::string& type);

/// RAS millimetres to RAS millimetres. @throws DataError naming the file: a type that is not known, another number of
/// parameters, a singular matrix
Transform meaning_of(ItkTransform&& transform, const std::string& source);

/// A file's transforms as one: a composite's follow it, and its last is applied first. @throws DataError as above, and
/// for several that no composite joins
Transform meaning_of(std::vector<ItkTransform>&& transforms, const std::string& source);

/// "ITK affine", "ITK composite of 2"
std::string kind_of(const std::vector<ItkTransform>& transforms);

/// LPS to RAS and back: both turn the signs of x and y.
Affine with_turned_axes(const Affine& affine);

}  // namespace regatta
