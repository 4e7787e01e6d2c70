// libFuzzer target over archives: the input is a list of damages to a small archive, made through HDF5 itself: other
// types, shapes, chunks, filters and layouts, groups and links in the place of datasets, attributes and stored chunks
// of any bytes. Whatever they are, Archive opens the file and gives volumes of its shape, labels that it names, masks
// of 0 and 1, finite key-points and pairs of its subjects, or throws a DataError of one line. HDF5's own reading of
// damaged structures is not the subject: it has faults of its own (docs/reliability.md). Built by the preset `fuzz`;
// test/fuzz/run.sh makes the corpus and runs it.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <system_error>

#include <fuzzer/FuzzedDataProvider.h>
#include <hdf5.h>

#include "regatta/base/error.hpp"
#include "regatta/volume/archive_writer.hpp"
#include "temporary_input.hpp"

namespace {

using regatta::fuzz::require;

constexpr regatta::Shape3 kShape = {4, 3, 2};
constexpr std::size_t kVoxels = 24;
constexpr std::int64_t kMostVoxels = std::int64_t{1} << 22;  // larger ones are right, and slow

constexpr std::array kObjects = {"images",
                                 "modalities",
                                 "labels",
                                 "label_ids",
                                 "masks",
                                 "keypoints",
                                 "subjects",
                                 "pairs",
                                 "subjects/id",
                                 "subjects/split",
                                 "subjects/group",
                                 "subjects/frame",
                                 "subjects/image_source",
                                 "subjects/source_key",
                                 "subjects/affine",
                                 "subjects/original_affine",
                                 "subjects/original_shape",
                                 "subjects/intensity",
                                 "subjects/atlas_to_subject",
                                 "subjects/affine_ncc",
                                 "subjects/keypoint_ends",
                                 "subjects/has_labels",
                                 "subjects/has_mask",
                                 "subjects/image_xxh3",
                                 "subjects/labels_xxh3",
                                 "subjects/mask_xxh3",
                                 "pairs/split",
                                 "pairs/moving",
                                 "pairs/fixed",
                                 "pairs/own_keypoint_ends",
                                 "pairs/moving_keypoints",
                                 "pairs/fixed_keypoints"};
constexpr std::array kAttributes = {"format",      "schema",        "name",        "orientation", "spacing_mm",
                                    "image_scale", "preprocessing", "fingerprint", "tables_xxh3"};
constexpr std::array<hsize_t, 16> kEdges = {
    0, 1, 2, 3, 4, 5, 8, 16, 256, 257, 4096, 4097, 1000000, hsize_t{1} << 32, hsize_t{1} << 40, hsize_t{1} << 62};

/// One file-level type out of a dozen; the caller closes it.
hid_t some_type(FuzzedDataProvider& in) {
  const std::array<hid_t, 9> plain = {H5T_STD_U8LE,   H5T_STD_I8LE,   H5T_STD_I32LE,  H5T_STD_I64LE, H5T_STD_U64LE,
                                      H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F64BE, H5T_STD_B16LE};
  const auto kind = in.ConsumeIntegralInRange<std::size_t>(0, plain.size() + 4);
  if (kind < plain.size()) {
    return H5Tcopy(plain[kind]);
  }
  if (kind == plain.size()) {
    return H5Tcreate(H5T_OPAQUE, in.ConsumeIntegralInRange<std::size_t>(1, 4096));
  }
  if (kind == plain.size() + 1) {
    const hid_t type = H5Tcreate(H5T_COMPOUND, 16);
    H5Tinsert(type, "a", 0, H5T_STD_I64LE);
    H5Tinsert(type, "b", 8, H5T_IEEE_F64LE);
    return type;
  }
  if (kind == plain.size() + 2) {
    return H5Tvlen_create(H5T_STD_U8LE);
  }
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, kind == plain.size() + 3 ? H5T_VARIABLE : in.ConsumeIntegralInRange<std::size_t>(1, 64));
  return type;
}

std::vector<hsize_t> some_dims(FuzzedDataProvider& in) {
  std::vector<hsize_t> dims(in.ConsumeIntegralInRange<std::size_t>(0, 6));
  for (hsize_t& n : dims) {
    n = in.PickValueInArray(kEdges);
  }
  return dims;
}

hid_t space_of(const std::vector<hsize_t>& dims) {
  return dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
}

/// HDF5 may refuse any of this; then the object is missing.
void replace_dataset(FuzzedDataProvider& in, hid_t file, const char* name) {
  const hid_t type = some_type(in);
  const std::vector<hsize_t> dims = some_dims(in);
  const hid_t space = space_of(dims);
  const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
  if (in.ConsumeBool()) {
    std::vector<hsize_t> chunk = in.ConsumeBool() ? dims : some_dims(in);
    if (!chunk.empty() && in.ConsumeBool()) {
      chunk[0] = 1;
    }
    H5Pset_chunk(plist, static_cast<int>(chunk.size()), chunk.data());
    if (in.ConsumeBool()) {
      H5Pset_shuffle(plist);
    }
    if (in.ConsumeBool()) {
      H5Pset_deflate(plist, 1);
    }
    if (in.ConsumeIntegralInRange(0, 7) == 0) {
      H5Pset_fletcher32(plist);
    }
  } else if (in.ConsumeIntegralInRange(0, 3) == 0) {
    H5Pset_layout(plist, H5D_COMPACT);
  } else if (in.ConsumeIntegralInRange(0, 7) == 0) {
    H5Pset_external(plist, "/dev/null", 0, H5F_UNLIMITED);
  }
  const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  const std::size_t bytes = H5Tget_size(type);
  if (set >= 0 && in.ConsumeBool() && H5Tdetect_class(type, H5T_VLEN) == 0 && H5Tis_variable_str(type) == 0 &&
      count > 0 && count < 4096) {
    std::string data = in.ConsumeRandomLengthString(256);
    data.resize(static_cast<std::size_t>(count) * bytes);
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data());
  }
  if (set >= 0) {
    H5Dclose(set);
  }
  H5Pclose(plist);
  H5Sclose(space);
  H5Tclose(type);
}

void replace_attribute(FuzzedDataProvider& in, hid_t file, const char* name) {
  H5Adelete(file, name);
  const hid_t type = some_type(in);
  const hid_t space = space_of(in.ConsumeBool() ? std::vector<hsize_t>{}
                                                : std::vector<hsize_t>{in.ConsumeIntegralInRange<hsize_t>(0, 8)});
  const hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  std::string data = in.ConsumeRandomLengthString(128);
  if (attribute >= 0 && H5Tis_variable_str(type) > 0) {
    const std::array<const char*, 8> texts = {data.c_str(), "", "RAS", "{}", "x", "y", "z", "w"};
    H5Awrite(attribute, type, texts.data());
  } else if (attribute >= 0 && H5Tdetect_class(type, H5T_VLEN) == 0) {
    data.resize(8 * H5Tget_size(type));
    H5Awrite(attribute, type, data.data());
  }
  if (attribute >= 0) {
    H5Aclose(attribute);
  }
  H5Sclose(space);
  H5Tclose(type);
}

/// The bytes of a chunk without filters: HDF5 1.10 would write more of them over what lies behind; 0: as many as you
/// like.
std::size_t plain_chunk_bytes(hid_t set) {
  const hid_t plist = H5Dget_create_plist(set);
  const hid_t type = H5Dget_type(set);
  std::array<hsize_t, 32> edges{};
  const int rank = H5Pget_nfilters(plist) > 0 ? 0 : H5Pget_chunk(plist, static_cast<int>(edges.size()), edges.data());
  const std::size_t bytes = H5Tget_size(type);
  H5Tclose(type);
  H5Pclose(plist);
  return rank <= 0 ? 0 : std::accumulate(edges.begin(), edges.begin() + rank, bytes, std::multiplies<>());
}

/// HDF5 1.10 crashes in writing a chunk where there cannot be one, and where the number of elements overflows.
bool takes_chunk(hid_t set, hsize_t first) {
  const hid_t plist = H5Dget_create_plist(set);
  const hid_t space = H5Dget_space(set);
  std::array<hsize_t, 32> dims{};
  const int rank = H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  const bool chunked = H5Pget_layout(plist) == H5D_CHUNKED;
  H5Sclose(space);
  H5Pclose(plist);
  double elements = rank > 0 ? 1.0 : 0.0;
  for (int axis = 0; axis < rank; ++axis) {
    elements *= static_cast<double>(dims[static_cast<std::size_t>(axis)]);
  }
  return chunked && elements > 0.0 && elements < 1e15 && first < dims[0];
}

void write_chunk(FuzzedDataProvider& in, hid_t file, const char* name) {
  const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  if (set < 0) {
    return;
  }
  const std::array<hsize_t, 6> start = {in.ConsumeIntegralInRange<hsize_t>(0, 2), 0, 0, 0, 0, 0};
  const auto mask = in.ConsumeIntegralInRange<std::uint32_t>(0, 3);
  std::string data = in.ConsumeRandomLengthString(256);
  const std::size_t plain = plain_chunk_bytes(set);
  if (takes_chunk(set, start[0]) && plain <= 4096) {
    data.resize(plain > 0 ? plain : data.size());
    H5Dwrite_chunk(set, H5P_DEFAULT, mask, start.data(), data.size(), data.data());
  }
  H5Dclose(set);
}

void damage(FuzzedDataProvider& in, hid_t file) {
  const char* name = in.PickValueInArray(kObjects);
  switch (in.ConsumeIntegralInRange(0, 7)) {
    case 0: H5Ldelete(file, name, H5P_DEFAULT); break;
    case 1:
      H5Ldelete(file, name, H5P_DEFAULT);
      if (const hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT); group >= 0) {
        H5Gclose(group);
      }
      break;
    case 2:
      H5Ldelete(file, name, H5P_DEFAULT);
      H5Lcreate_soft(in.PickValueInArray(kObjects), file, name, H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 3: replace_attribute(in, file, in.PickValueInArray(kAttributes)); break;
    case 4: write_chunk(in, file, in.PickValueInArray({"images", "labels", "masks"})); break;
    default: H5Ldelete(file, name, H5P_DEFAULT); replace_dataset(in, file, name);
  }
}

void write_archive(const std::filesystem::path& path, regatta::VoxelType type, int deflate,
                   const std::vector<std::string>& modalities) {
  regatta::ArchiveHeader header;
  header.name = "fuzz";
  header.shape = kShape;
  header.spacing = {1.0, 1.0, 2.0};
  header.orientation = "LIA";
  header.type = type;
  header.subjects = 2;
  header.modalities = modalities;
  header.masks = true;
  header.label_ids = {0, 17, 2035};
  header.preprocessing = "{}";
  header.deflate = deflate;
  regatta::ArchiveWriter writer(path, header);
  for (int i = 0; i < 2; ++i) {
    regatta::ArchiveSubject subject;
    subject.id = regatta::str("p", i);
    subject.split = "train";
    subject.affine = regatta::identity_affine();
    subject.original_affine = regatta::identity_affine();
    subject.original_shape = kShape;
    subject.image_source = "scan.nii.gz";
    subject.group = "one";
    subject.frame = i;
    subject.intensity.assign(modalities.size(), {0.0, 100.0});
    subject.atlas_to_subject = regatta::identity_affine();
    subject.keypoints = {{1.0, 2.0, 0.5}, {3.0, 0.0, 1.0}};
    const std::size_t bytes = type == regatta::VoxelType::kUint8 ? 1 : 4;
    const std::vector<std::byte> images(modalities.size() * kVoxels * bytes, std::byte{60});
    writer.add(subject, images, std::vector<std::uint8_t>(kVoxels, 2), std::vector<std::uint8_t>(kVoxels, 1));
  }
  const auto own =
      std::make_shared<const regatta::PairKeypoints>(regatta::PairKeypoints{{{0.0, 1.0, 1.5}}, {{2.0, 2.0, 0.0}}});
  writer.set_pairs({{"train", 0, 1}, {"train", 1, 0, own}});
  writer.finish();
}

template <class Body>
void one_line_or_none(Body body) {
  try {
    body();
  } catch (const regatta::DataError& error) {
    const std::string text = error.what();
    require(!text.empty() && text.find('\n') == std::string::npos && text.find("regatta-fuzz-") != std::string::npos);
  }
}

void read_volumes(const regatta::Archive& archive) {
  const auto voxels = static_cast<std::size_t>(regatta::voxel_count(archive.shape()));
  std::vector<std::byte> image(voxels * (archive.image_type() == regatta::VoxelType::kUint8 ? 1 : 4));
  std::vector<std::uint8_t> labels(voxels);
  std::vector<std::uint8_t> mask(voxels);
  for (std::size_t i = 0; i < std::min<std::size_t>(archive.subjects().size(), 8); ++i) {
    const auto subject = static_cast<std::int64_t>(i);
    for (std::size_t modality = 0; modality < std::min<std::size_t>(archive.modalities().size(), 4); ++modality) {
      one_line_or_none([&] { archive.read_image(subject, image, modality); });
    }
    one_line_or_none([&] {
      archive.read_mask(subject, mask);
      require(*std::max_element(mask.begin(), mask.end()) <= 1);
    });
    one_line_or_none([&] {
      archive.read_labels(subject, labels);
      require(*std::max_element(labels.begin(), labels.end()) < archive.label_ids().size());
    });
  }
}

void read_archive(const std::filesystem::path& path) {
  const regatta::Archive archive = regatta::Archive::open(path);
  const auto subjects = static_cast<std::int64_t>(archive.subjects().size());
  require(subjects >= 1 && regatta::is_orientation(archive.orientation()));
  for (const std::string& split : archive.splits()) {
    for (const regatta::ArchivePair& pair : archive.pairs(split)) {
      require(pair.moving >= 0 && pair.moving < subjects && pair.fixed >= 0 && pair.fixed < subjects);
      const regatta::KeypointLists points = regatta::keypoints_of(archive.subjects(), pair);
      require(points.moving.size() == points.fixed.size());
      for (const auto& list : {points.moving, points.fixed}) {
        for (const regatta::Point3& point : list) {
          require(std::all_of(point.begin(), point.end(), [](double x) { return std::isfinite(x); }));
        }
      }
    }
  }
  for (const regatta::ArchiveSubject& subject : archive.subjects()) {
    require(subject.intensity.size() == archive.modalities().size());
    for (const regatta::Point3& point : subject.keypoints) {
      require(std::all_of(point.begin(), point.end(), [](double x) { return std::isfinite(x); }));
    }
  }
  if (regatta::voxel_count(archive.shape()) <= kMostVoxels) {
    read_volumes(archive);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const regatta::fuzz::TemporaryInput folder;
  static const bool written = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    write_archive(folder / "plain.h5", regatta::VoxelType::kUint8, 0, {"t1", "t2"});
    write_archive(folder / "deflate.h5", regatta::VoxelType::kFloat32, 9, {"image"});
    return true;
  }();
  require(written);
  FuzzedDataProvider in(bytes, size);
  const std::filesystem::path path = folder / "archive.h5";
  const std::filesystem::path whole = folder / (in.ConsumeBool() ? "deflate.h5" : "plain.h5");
  std::error_code error;
  do {  // libFuzzer's timer interrupts it now and then
    std::filesystem::copy_file(whole, path, std::filesystem::copy_options::overwrite_existing, error);
  } while (error == std::errc::interrupted);
  require(!error);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  require(file >= 0);
  const int damages = in.ConsumeIntegralInRange(0, 4);
  if (damages > 0) {
    H5Adelete(file, "tables_xxh3");  // it would keep most damages from what reads them
  }
  for (int i = 0; i < damages; ++i) {
    damage(in, file);
  }
  H5Fclose(file);
  one_line_or_none([&] { read_archive(path); });
  if (damages == 0) {
    read_archive(path);  // what nobody has touched is read
  }
  return 0;
}
