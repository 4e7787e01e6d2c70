#include "pack_keys.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kPackVersion = 2;  // part of every key: raised when packing gives other voxels

/// XXH3 over a file's bytes.
std::uint64_t hash_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REGATTA_REQUIRE(file.good(), DataError, path.string(), ": cannot open: ", std::strerror(errno));
  std::vector<char> block(std::size_t{1} << 22);
  std::vector<std::uint64_t> hashes;  // of the blocks
  do {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    hashes.push_back(xxh3(block.data(), static_cast<std::size_t>(file.gcount())));
  } while (file.good());
  REGATTA_REQUIRE(file.eof(), DataError, path.string(), ": cannot be read to its end");
  return xxh3(hashes.data(), hashes.size() * sizeof(std::uint64_t));
}

}  // namespace

SourceKey key_of(const PackJob& job, const SubjectEntry& subject, const std::string& atlas_key) {
  Json images = Json::array();
  for (const std::string& file : subject.files) {
    images.push_back(hex_text(hash_of_file(file)));
  }
  images.push_back(subject.frame);
  Json all = {{"version", kPackVersion},
              {"images", images},
              {"preprocess", write_options(job.preprocess)},
              {"modalities", job.modalities()},
              {"npz_orientation", job.dataset->options.npz_orientation},
              {"atlas", atlas_key}};
  const auto add = [&all](const char* name, const std::string& path) {
    if (!path.empty()) {
      all[name] = hex_text(hash_of_file(path));
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
