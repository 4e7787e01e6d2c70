// The two writers of NIfTI-1; the header is laid out by hand, as the reader does (nifti_header.cpp).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <zlib.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/remarks.hpp"
#include "regatta/volume/nifti.hpp"
#include "volume/formats/nifti_header.hpp"
#include "volume/formats/nifti_space.hpp"

namespace regatta {
namespace {

constexpr std::size_t kDataOffset = 352;

/// The bytes of a file, plain or deflated, into an AtomicFile.
class Output {
 public:
  explicit Output(const std::filesystem::path& path) : file_(path), name_(path.string()) {
    if (path.extension() == ".gz") {
      deflate_ = std::make_unique<z_stream>();
      REGATTA_REQUIRE(::deflateInit2(deflate_.get(), 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, DataError,
                      name_, ": cannot start compression");
    }
  }

  ~Output() {
    if (deflate_) {
      ::deflateEnd(deflate_.get());
    }
  }

  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(const void* data, std::size_t bytes) {
    if (!deflate_) {
      file_.write(data, bytes);
      return;
    }
    push(data, bytes, Z_NO_FLUSH);
  }

  void commit() {
    if (deflate_) {
      push(nullptr, 0, Z_FINISH);
    }
    file_.commit();
  }

 private:
  void push(const void* data, std::size_t bytes, int flush) {
    std::vector<unsigned char> buffer(std::size_t{1} << 18);
    deflate_->next_in = static_cast<unsigned char*>(const_cast<void*>(data));
    deflate_->avail_in = static_cast<unsigned>(bytes);
    do {
      deflate_->next_out = buffer.data();
      deflate_->avail_out = static_cast<unsigned>(buffer.size());
      const int code = ::deflate(deflate_.get(), flush);
      REGATTA_REQUIRE(code != Z_STREAM_ERROR, DataError, name_, ": compression failed");
      file_.write(buffer.data(), buffer.size() - deflate_->avail_out);
    } while (deflate_->avail_out == 0);
  }

  AtomicFile file_;
  std::string name_;
  std::unique_ptr<z_stream> deflate_;
};

template <class T>
void put(std::vector<std::byte>& header, std::size_t offset, T value) {
  std::memcpy(header.data() + offset, &value, sizeof(T));
}

void put_space(std::vector<std::byte>& header, const Affine& affine, const FileSpace& space) {
  const Affine& right_angled = space.qform.value_or(affine);
  const Spacing3 spacing = spacing_of(right_angled);
  const Quaternion turn = space.qform ? quaternion_of(*space.qform) : Quaternion{};
  put(header, 76, static_cast<float>(turn.qfac));
  for (std::size_t i = 0; i < 3; ++i) {
    put(header, 80 + 4 * i, static_cast<float>(spacing[i]));
    put(header, 256 + 4 * i, static_cast<float>(turn.bcd[i]));
    put(header, 268 + 4 * i, static_cast<float>(right_angled[i * 4 + 3]));
  }
  put(header, 252, static_cast<std::int16_t>(space.qform_code));
  put(header, 254, static_cast<std::int16_t>(space.sform_code));
  for (std::size_t i = 0; i < 12; ++i) {
    put(header, 280 + 4 * i, static_cast<float>(affine[i]));
  }
}

/// Header and empty extension, 352 bytes.
std::vector<std::byte> make_header(const std::filesystem::path& path, const Grid& grid, const FileSpace& like,
                                   std::int16_t datatype, std::size_t voxel_bytes, bool vector) {
  const std::string name = path.string();
  REGATTA_REQUIRE(is_usable(grid.affine), DataError, name, ": affine ", join(grid.affine, " "),
                  ": singular or not finite");
  std::vector<std::byte> header(kDataOffset);
  put(header, 0, static_cast<std::int32_t>(kNifti1Bytes));
  put(header, 40, static_cast<std::int16_t>(vector ? 5 : 3));
  for (std::size_t i = 0; i < 7; ++i) {
    put(header, 42 + 2 * i, std::int16_t{1});
    put(header, 80 + 4 * i, 1.0F);
  }
  for (std::size_t i = 0; i < 3; ++i) {
    REGATTA_REQUIRE(grid.shape[i] >= 1 && grid.shape[i] <= 32767, DataError, name, ": shape ", shape_text(grid.shape),
                    ", 1..32767 along each axis allowed");
    put(header, 42 + 2 * i, static_cast<std::int16_t>(grid.shape[i]));
  }
  if (vector) {
    put(header, 50, std::int16_t{3});
    put(header, 68, kIntentVector);
  }
  put(header, 70, datatype);
  put(header, 72, static_cast<std::int16_t>(8 * voxel_bytes));
  put(header, 108, static_cast<float>(kDataOffset));
  put(header, 112, 1.0F);             // ITK reads past the buffer of a vector image whose slope is neither 0 nor 1
  put(header, 123, std::uint8_t{2});  // millimetres
  const FileSpace space = written_space(grid, like);
  if (const std::string doubt = space_doubt(grid, space); !doubt.empty()) {
    remark("folders with such files", str("scans written to ", path.parent_path().string(), "/: ", doubt));
  }
  put_space(header, grid.affine, space);
  std::memcpy(header.data() + 344, "n+1", 4);
  return header;
}

/// One volume of `grid` in file order: i fastest.
template <class T>
void put_volume(Output& out, std::span<const T> voxels, const Grid& grid) {
  const auto [d, h, w] = grid.shape;
  std::vector<T> slice(static_cast<std::size_t>(d * h));
  for (std::int64_t k = 0; k < w; ++k) {
    for (std::int64_t j = 0; j < h; ++j) {
      for (std::int64_t i = 0; i < d; ++i) {
        slice[static_cast<std::size_t>(j * d + i)] = voxels[static_cast<std::size_t>((i * h + j) * w + k)];
      }
    }
    out.write(slice.data(), slice.size() * sizeof(T));
  }
}

template <class T>
void write_scalar(const std::filesystem::path& path, std::span<const T> voxels, const Grid& grid, const FileSpace& like,
                  std::int16_t datatype) {
  REGATTA_REQUIRE(static_cast<std::int64_t>(voxels.size()) == voxel_count(grid.shape), BugError, path.string(), ": ",
                  voxels.size(), " voxels for a grid of ", shape_text(grid.shape));
  const auto header = make_header(path, grid, like, datatype, sizeof(T), false);
  Output out(path);
  out.write(header.data(), header.size());
  put_volume(out, voxels, grid);
  out.commit();
}

}  // namespace

void write_nifti(const std::filesystem::path& path, std::span<const float> voxels, const Grid& grid,
                 const FileSpace& like) {
  write_scalar(path, voxels, grid, like, 16);
}

void write_nifti(const std::filesystem::path& path, std::span<const std::uint8_t> voxels, const Grid& grid,
                 const FileSpace& like) {
  write_scalar(path, voxels, grid, like, 2);
}

void write_nifti(const std::filesystem::path& path, std::span<const std::int16_t> voxels, const Grid& grid,
                 const FileSpace& like) {
  write_scalar(path, voxels, grid, like, 4);
}

void write_nifti(const std::filesystem::path& path, std::span<const std::int32_t> voxels, const Grid& grid,
                 const FileSpace& like) {
  write_scalar(path, voxels, grid, like, 8);
}

void write_nifti_series(const std::filesystem::path& path, std::span<const std::int16_t> voxels, const Grid& grid,
                        int frames, const FileSpace& like) {
  const auto count = static_cast<std::size_t>(voxel_count(grid.shape));
  REGATTA_REQUIRE(frames >= 2 && frames <= 32767 && voxels.size() == count * static_cast<std::size_t>(frames), BugError,
                  path.string(), ": ", voxels.size(), " voxels for ", frames, " frames of ", shape_text(grid.shape));
  auto header = make_header(path, grid, like, 4, sizeof(std::int16_t), false);
  put(header, 40, std::int16_t{4});
  put(header, 48, static_cast<std::int16_t>(frames));
  Output out(path);
  out.write(header.data(), header.size());
  for (std::size_t frame = 0; frame < static_cast<std::size_t>(frames); ++frame) {
    put_volume(out, voxels.subspan(frame * count, count), grid);
  }
  out.commit();
}

struct NiftiSeriesWriter::File {
  File(const std::filesystem::path& path, const Grid& of_volumes, Type of_voxels, std::int64_t frames)
      : out(path), name(path.string()), grid(of_volumes), type(of_voxels), left(frames) {}

  Output out;
  std::string name;
  Grid grid;
  Type type;
  std::int64_t left;

  template <class T>
  void add(std::span<const T> voxels, Type of) {
    REGATTA_REQUIRE(of == type && left > 0 && static_cast<std::int64_t>(voxels.size()) == voxel_count(grid.shape),
                    BugError, name, ": ", voxels.size(), " voxels for a frame of ", shape_text(grid.shape));
    put_volume(out, voxels, grid);
    --left;
  }
};

NiftiSeriesWriter::NiftiSeriesWriter(const std::filesystem::path& path, const Grid& grid, Type type,
                                     std::int64_t frames, double frame_step, const FileSpace& like) {
  REGATTA_REQUIRE(frames >= 1 && frames <= 32767, DataError, path.string(), ": ", frames, " frames, 1..32767 allowed");
  auto header = make_header(path, grid, like, type == Type::kFloat32 ? 16 : 8, 4, false);
  if (frames > 1) {
    put(header, 40, std::int16_t{4});
    put(header, 48, static_cast<std::int16_t>(frames));
    put(header, 92, static_cast<float>(frame_step));
    put(header, 123, static_cast<std::uint8_t>(2 + 8));  // millimetres, seconds
  }
  file_ = std::make_unique<File>(path, grid, type, frames);
  file_->out.write(header.data(), header.size());
}

NiftiSeriesWriter::~NiftiSeriesWriter() = default;

void NiftiSeriesWriter::add(std::span<const float> voxels) {
  file_->add(voxels, Type::kFloat32);
}

void NiftiSeriesWriter::add(std::span<const std::int32_t> voxels) {
  file_->add(voxels, Type::kInt32);
}

void NiftiSeriesWriter::commit() {
  REGATTA_REQUIRE(file_->left == 0, BugError, file_->name, ": ", file_->left, " frames are missing");
  file_->out.commit();
}

void write_displacement(const std::filesystem::path& path, std::span<const float> field, const Grid& grid,
                        const FileSpace& like) {
  const std::int64_t voxels = voxel_count(grid.shape);
  REGATTA_REQUIRE(static_cast<std::int64_t>(field.size()) == 3 * voxels, BugError, path.string(), ": ", field.size(),
                  " values for a field on ", shape_text(grid.shape));
  const auto header = make_header(path, grid, like, 16, sizeof(float), true);
  Output out(path);
  out.write(header.data(), header.size());
  const auto [d, h, w] = grid.shape;
  std::vector<float> slice(static_cast<std::size_t>(d * h));
  for (std::size_t component = 0; component < 3; ++component) {
    const double sign = component < 2 ? -1.0 : 1.0;  // RAS to LPS
    const double* row = grid.affine.data() + component * 4;
    for (std::int64_t k = 0; k < w; ++k) {
      for (std::int64_t j = 0; j < h; ++j) {
        for (std::int64_t i = 0; i < d; ++i) {
          const std::int64_t at = (i * h + j) * w + k;
          const auto u = [&](std::int64_t c) { return double{field[static_cast<std::size_t>(c * voxels + at)]}; };
          slice[static_cast<std::size_t>(j * d + i)] =
              static_cast<float>(sign * (row[0] * u(0) + row[1] * u(1) + row[2] * u(2)));
        }
      }
      out.write(slice.data(), slice.size() * sizeof(float));
    }
  }
  out.commit();
}

void write_learn2reg_displacement(const std::filesystem::path& path, std::span<const float> field, const Grid& grid,
                                  const FileSpace& like) {
  const auto voxels = static_cast<std::size_t>(voxel_count(grid.shape));
  REGATTA_REQUIRE(field.size() == 3 * voxels, BugError, path.string(), ": ", field.size(), " values for a field on ",
                  shape_text(grid.shape));
  auto header = make_header(path, grid, like, 16, sizeof(float), false);
  put(header, 40, std::int16_t{4});
  put(header, 48, std::int16_t{3});
  Output out(path);
  out.write(header.data(), header.size());
  for (std::size_t component = 0; component < 3; ++component) {
    put_volume(out, field.subspan(component * voxels, voxels), grid);
  }
  out.commit();
}

}  // namespace regatta
