#include "volume/pack/pack_keys.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "volume/formats/nifti_file.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kPackVersion = 2;  // part of every key: raised when packing gives other voxels

std::uint64_t hash_of_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REGATTA_REQUIRE(fd >= 0, DataError, path.string(), ": cannot open: ", std::strerror(errno));
  Xxh3 hash;
  std::vector<char> block(std::size_t{1} << 17);  // stays in the cache
  ssize_t got = 0;
  do {
    got = ::read(fd, block.data(), block.size());
    hash.add(block.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  } while (got > 0 || (got < 0 && errno == EINTR));
  ::close(fd);
  REGATTA_REQUIRE(got == 0, DataError, path.string(), ": cannot be read to its end: ", std::strerror(errno));
  return hash.value();
}

/// Headers of a pair are often the same for all scans of a study: the voxels count too.
std::string hash_of(const fs::path& path) {
  std::vector<std::string> hashes;
  for (const fs::path& file : files_of(path)) {
    hashes.push_back(hex_text(hash_of_file(file)));
  }
  return join(hashes, " ");
}

}  // namespace

SourceKey key_of(const PackJob& job, std::size_t index, const std::string& aligned_to) {
  const SubjectEntry& subject = job.dataset->subjects[index];
  Json images = Json::array();
  for (const std::string& file : subject.files) {
    images.push_back(hash_of(file));
  }
  images.push_back(subject.frame);
  Json preprocess = write_options(job.preprocess);
  preprocess.erase("place");  // what it does to this subject stands below
  Json all = {{"version", kPackVersion},
              {"images", images},
              {"preprocess", preprocess},
              {"modalities", job.modalities()},
              {"npz_orientation", job.dataset->options.npz_orientation},
              {"atlas", aligned_to}};
  if (const Grid* shared = job.shared_grid(index)) {
    all["grid"] = {{"shape", shared->shape}, {"affine", shared->affine}};
  }
  const auto add = [&all](const char* name, const std::string& path) {
    if (!path.empty()) {
      all[name] = hash_of(path);
    }
  };
  add("labels", subject.labels);
  add("mask", subject.mask);
  add("keypoints", subject.keypoints);
  if (!subject.labels.empty()) {
    all["label_rule"] = write_options(job.dataset->options.labels);
  }
  if (!subject.keypoints.empty()) {
    all["keypoint_space"] = job.dataset->options.keypoint_space;
  }
  return {hash_json(all), hash_json(images)};
}

}  // namespace regatta
