#include "victim.hpp"

#include "regatta/base/error.hpp"

namespace regatta::test {

void write_small_archive(const std::filesystem::path& path, int deflate) {
  constexpr Shape3 kShape = {5, 4, 3};
  constexpr std::size_t kVoxels = 60;
  ArchiveHeader header;
  header.name = "three";
  header.shape = kShape;
  header.spacing = {1, 1, 1};
  header.orientation = "RAS";
  header.subjects = 3;
  header.label_ids = {0, 7};
  header.preprocessing = "{}";
  header.deflate = deflate;
  ArchiveWriter writer(path, header);
  for (std::size_t i = 0; i < 3; ++i) {
    ArchiveSubject subject;
    subject.id = str("p", i);
    subject.split = "train";
    subject.affine = identity_affine();
    subject.original_affine = identity_affine();
    subject.original_shape = kShape;
    subject.image_source = "scan.nii";
    std::vector<std::byte> image(kVoxels);
    std::vector<std::uint8_t> labels(kVoxels);
    for (std::size_t v = 0; v < kVoxels; ++v) {
      image[v] = static_cast<std::byte>(37 * v + 11 * i);
      labels[v] = static_cast<std::uint8_t>((v + i) % 2);
    }
    writer.add(subject, image, labels);
  }
  writer.set_pairs({{"train", 0, 1}, {"train", 1, 2}});
  writer.finish();
}

}  // namespace regatta::test
