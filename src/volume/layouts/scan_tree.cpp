#include "volume/layouts/scan_tree.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <system_error>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 8> kEndings = {".nii.gz", ".nii", ".mgz", ".mgh",
                                                      ".npz",    ".hdr", ".img", ".img.gz"};

/// The voxels of a pair, which its .hdr stands for.
bool is_half(const std::string& path) {
  return path.ends_with(".img") || path.ends_with(".img.gz");
}

bool lies_in(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

/// Collects the files below a folder. Each folder is entered once, whatever links lead to it, and none that would lead
/// round in a circle.
class Walk {
 public:
  explicit Walk(const fs::path& folder)
      : root_(folder), real_root_(fs::weakly_canonical(folder)), entered_({real_root_}) {}

  std::vector<TreeFile> files() {
    std::error_code error;
    fs::directory_iterator entries(root_, error);
    require_listed(root_, error);
    enter(root_, std::move(entries));
    return std::move(files_);
  }

 private:
  static void require_listed(const fs::path& folder, const std::error_code& error) {
    REGATTA_REQUIRE(!error, DataError, folder.string(), ": cannot be listed: ", error.message());
  }

  void enter(const fs::path& folder, fs::directory_iterator entries) {
    std::error_code error;
    for (; entries != fs::directory_iterator(); entries.increment(error)) {
      require_listed(folder, error);
      if (!entries->path().filename().string().starts_with('.')) {
        visit(*entries);
      }
    }
    require_listed(folder, error);
  }

  void visit(const fs::directory_entry& entry) {
    std::error_code error;
    if (!entry.is_directory(error)) {  // a symbolic link to nowhere has no size: its header will say so
      const std::uintmax_t bytes = fs::file_size(entry.path(), error);
      files_.push_back({entry.path().lexically_relative(root_).generic_string(), error ? 0 : bytes});
      return;
    }
    const fs::path target = fs::weakly_canonical(entry.path());
    fs::directory_iterator entries(entry.path(), error);
    if (entry.is_symlink()) {
      if (error) {
        log_warning(entry.path().string(), ": a link to a folder that cannot be listed, left out: ", error.message());
      }
      if (error || lies_in(target, real_root_) || lies_in(real_root_, target)) {
        return;
      }
    }
    if (entered_.insert(target).second) {
      require_listed(entry.path(), error);
      enter(entry.path(), std::move(entries));
    }
  }

  fs::path root_;
  fs::path real_root_;
  std::set<fs::path> entered_;
  std::vector<TreeFile> files_;
};

}  // namespace

ScanTree ScanTree::read(const fs::path& folder) {
  ScanTree tree;
  tree.folder_ = folder;
  std::error_code error;
  REGATTA_REQUIRE(fs::is_directory(folder, error), DataError, folder.string(), ": not a folder");
  tree.files_ = Walk(folder).files();
  std::sort(tree.files_.begin(), tree.files_.end(),
            [](const TreeFile& a, const TreeFile& b) { return a.path < b.path; });
  for (const TreeFile& file : tree.files_) {
    tree.sizes_[file.path] = file.bytes;
    if (is_volume_name(file.path) && !is_half(file.path)) {
      tree.volumes_.push_back(file.path);
    }
  }
  return tree;
}

std::string ScanTree::find_volume(const std::string& folder, const std::string& stem) const {
  for (const std::string_view ending : kEndings) {
    if (const std::string path = path_in(folder, str(stem, ending)); !is_half(path) && has(path)) {
      return path;
    }
  }
  return "";
}

const ScanHeader* ScanTree::header(const std::string& path) const {
  if (const auto found = headers_.find(path); found != headers_.end()) {
    return &found->second;
  }
  if (unreadable_.contains(path)) {
    return nullptr;
  }
  try {
    const VolumeHeader header = read_volume_header(full(path), VolumePart::kImage, "RAS", 0);
    return &headers_
                .emplace(path,
                         ScanHeader{header.grid, static_cast<int>(header.frames), header.affine_source != "pixdim",
                                    has_space(header.affine_source), header.space.code()})
                .first->second;
  } catch (const DataError& error) {
    unreadable_[path] = error.what();
    return nullptr;
  }
}

std::string stem_of(const std::string& path) {
  std::string name = fs::path(path).filename().string();
  for (const std::string_view ending : kEndings) {
    if (name.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size());
    }
  }
  return fs::path(name).stem().string();
}

std::string folder_of(const std::string& path) {
  return fs::path(path).parent_path().generic_string();
}

std::string path_in(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : str(folder, '/', name);
}

std::string id_from(const std::string& text) {
  std::string id = text.substr(0, 128);
  std::replace_if(
      id.begin(), id.end(),
      [](unsigned char c) {
        return std::isalnum(c) == 0 && std::string_view("._-+=@").find(static_cast<char>(c)) == std::string_view::npos;
      },
      '_');
  return id;
}

std::string lower_case(const std::string& text) {
  std::string out = text;
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string four_digits(const std::string& stem, std::string* rest) {
  const bool there = stem.size() > 5 && stem[stem.size() - 5] == '_' &&
                     std::all_of(stem.end() - 4, stem.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (rest != nullptr) {
    *rest = there ? stem.substr(0, stem.size() - 5) : stem;
  }
  return there ? stem.substr(stem.size() - 4) : "";
}

std::string case_of(const std::string& stem) {
  std::string rest;
  four_digits(stem, &rest);
  const std::size_t number = rest.find_last_not_of("0123456789");
  const bool is_numbered = number != std::string::npos && number + 1 < rest.size() && rest[number] == '_';
  return is_numbered ? rest : stem;
}

}  // namespace regatta
