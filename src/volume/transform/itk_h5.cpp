// Transforms as ITK's TransformIO for HDF5 stores them: /TransformGroup/0, 1, ... with the type and two vectors each.
// ITK's older versions spelt the vectors' names without an s.
#include <algorithm>

#include "regatta/base/error.hpp"
#include "volume/archive/h5.hpp"
#include "volume/transform/itk_files.hpp"

namespace regatta {
namespace {

constexpr std::size_t kMostTransforms = 1000;

/// The vector under the one or the other spelling.
std::string spelling_of(hid_t group, const char* name, const char* old, const std::string& source) {
  REGATTA_REQUIRE(h5::exists(group, name) || h5::exists(group, old), DataError, source, ": ", name, " is missing");
  return h5::exists(group, name) ? name : old;
}

ItkTransform read_one(hid_t group, const std::string& source) {
  ItkTransform out;
  out.type = h5::read_strings(group, "TransformType", 1, source).front();
  if (is_composite(out)) {
    return out;
  }
  const std::string fixed = spelling_of(group, "TransformFixedParameters", "TranformFixedParameters", source);
  const std::string numbers = spelling_of(group, "TransformParameters", "TranformParameters", source);
  h5::read_vector(group, fixed, out.fixed, source);
  if (is_itk_field(out.type)) {
    h5::read_vector(group, numbers, out.displaced, source);
  } else {
    h5::read_vector(group, numbers, out.numbers, source);
  }
  return out;
}

}  // namespace

std::vector<ItkTransform> read_itk_h5(const std::filesystem::path& path) {
  const std::string source = path.string();
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  const h5::Handle file = h5::open_to_read(path);
  REGATTA_REQUIRE(h5::exists(file.id(), "TransformGroup"), DataError, source,
                  ": an HDF5 file without ITK's group TransformGroup");
  const h5::Handle all = h5::open_group(file.id(), "TransformGroup", source);
  std::vector<ItkTransform> out;
  while (h5::exists(all.id(), str(out.size()))) {
    REGATTA_REQUIRE(out.size() < kMostTransforms, DataError, source, ": more than ", kMostTransforms, " transforms");
    const h5::Handle group = h5::open_group(all.id(), str(out.size()), source);
    out.push_back(read_one(group.id(), str(source, ": transform ", out.size())));
  }
  return out;
}

}  // namespace regatta
