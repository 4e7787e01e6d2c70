#include "volume/formats/nifti_file.hpp"

#include <algorithm>
#include <vector>

#include "regatta/base/error.hpp"
#include "volume/formats/mgh_file.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLeastTrailing = std::uint64_t{1} << 20;

struct Names {
  fs::path header;
  fs::path voxels;  ///< the same file, or the other one of the pair
};

Names names_of(const fs::path& path) {
  const std::string text = path.string();
  for (const char* ending : {".img", ".img.gz"}) {
    if (text.ends_with(ending)) {
      return {text.substr(0, text.rfind(".img")) + ".hdr", path};
    }
  }
  if (!text.ends_with(".hdr")) {
    return {path, path};
  }
  const std::string stem = text.substr(0, text.size() - 4);
  const fs::path plain = stem + ".img";
  const fs::path packed = stem + ".img.gz";
  REGATTA_REQUIRE(!fs::exists(plain) || !fs::exists(packed), DataError, text, ": both ", plain.filename().string(),
                  " and ", packed.filename().string(), " lie beside it: name the one that is meant");
  return {path, fs::exists(packed) ? packed : plain};
}

}  // namespace

void require_size(const NiftiHeader& header, ByteReader& in, const std::string& source) {
  const std::uint64_t need = header.data_offset + header.data_bytes();
  const std::uint64_t most_trailing = std::max(kLeastTrailing, header.data_bytes());
  REGATTA_REQUIRE(need <= in.limit(), DataError, source, ": truncated: the header asks for ", need, " bytes, the ",
                  in.is_gzip() ? "gzip file of " : "file has ", in.file_bytes(),
                  in.is_gzip() ? " bytes cannot hold them" : "");
  REGATTA_REQUIRE(in.is_gzip() || in.file_bytes() - need <= most_trailing, DataError, source,
                  ": wrong size: the header asks for ", need, " bytes, the file has ", in.file_bytes());
  in.allow_trailing(most_trailing, header.has_footer);
}

std::int64_t frame_number(int frame, std::int64_t frames, const std::string& source) {
  REGATTA_REQUIRE(frame >= 0 || frames == 1, DataError, source, ": header: dim[4] ", frames,
                  ": a series or vector image, one scalar volume expected: name its frame, 0..", frames - 1);
  REGATTA_REQUIRE(frame < frames, DataError, source, ": frame ", frame, ", the file has ", frames, ": 0..", frames - 1,
                  " allowed");
  return std::max(frame, 0);
}

bool is_nifti_name(const fs::path& path) {
  const std::string name = path.filename().string();
  for (const char* ending : {".nii", ".nii.gz", ".hdr", ".img", ".img.gz"}) {
    if (name.ends_with(ending)) {
      return true;
    }
  }
  return false;
}

bool is_scan_name(const fs::path& path) {
  return is_nifti_name(path) || is_mgh_name(path);
}

NiftiFile open_scan(const fs::path& path) {
  return is_mgh_name(path) ? open_mgh(path) : open_nifti(path);
}

std::vector<fs::path> files_of(const fs::path& path) {
  const Names names = names_of(path);
  return names.header == names.voxels ? std::vector{path} : std::vector{names.header, names.voxels};
}

NiftiFile open_nifti(const fs::path& path, NiftiContent content) {
  const Names names = names_of(path);
  const bool pair = names.header != names.voxels;
  const std::string source = names.header.string();
  auto head = std::make_unique<ByteReader>(names.header);
  std::vector<std::byte> bytes(kNifti2Bytes);
  head->read(bytes.data(), 4, "header");
  bytes.resize(nifti_header_bytes(std::span<const std::byte, 4>(bytes.data(), 4), source));
  head->read(bytes.data() + 4, bytes.size() - 4, "header");

  NiftiFile out;
  out.header = parse_nifti_header(bytes, source, content, pair ? NiftiLayout::kPair : NiftiLayout::kOneFile);
  out.voxels = pair ? std::make_unique<ByteReader>(names.voxels) : std::move(head);
  require_size(out.header, *out.voxels, names.voxels.string());
  out.voxels->skip(out.header.data_offset - (pair ? 0 : bytes.size()), "header extension");
  return out;
}

}  // namespace regatta
