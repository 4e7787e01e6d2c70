// The model of a disk: durable contents and names, and what is still on its way.
#include "faults/power_cut.hpp"

#include <algorithm>
#include <fstream>

#include "faults/fault_shim.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"

namespace regatta::faults {
namespace {

namespace fs = std::filesystem;

/// Numbers by chance, one after the other.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : rng_(seed, RandomPurpose::kSynthetic) {}
  double roll() { return rng_.uniform(next_++, 0); }
  std::size_t below(std::size_t count) {
    return std::min(count - 1, static_cast<std::size_t>(roll() * static_cast<double>(count)));
  }

 private:
  CounterRng rng_;
  std::uint64_t next_ = 0;
};

void place(std::string& content, std::size_t offset, const std::string& data) {
  content.resize(std::max(content.size(), offset + data.size()), '\0');
  content.replace(offset, data.size(), data);
}

}  // namespace

std::vector<TraceRecord> read_trace(const fs::path& path) {
  const std::string bytes = read_file(path);
  std::vector<TraceRecord> records;
  std::size_t at = 0;
  while (at + sizeof(TraceHeader) <= bytes.size()) {
    TraceHeader header;
    std::copy_n(bytes.data() + at, sizeof header, reinterpret_cast<char*>(&header));
    at += sizeof header;
    TraceRecord record{header.call, header.file, header.offset, bytes.substr(at, header.first), ""};
    at += header.first;
    record.second = bytes.substr(at, header.second);
    at += header.second;
    records.push_back(std::move(record));
  }
  return records;
}

Disk::Disk(fs::path root) : root_(std::move(root)) {
  folders_[root_.string()];
}

long Disk::file_at(const fs::path& path) const {
  const auto folder = folders_.find(path.parent_path().string());
  REGATTA_REQUIRE(folder != folders_.end(), BugError, "trace: ", path.string(), " is in no known folder");
  const auto file = folder->second.now.find(path.filename().string());
  REGATTA_REQUIRE(file != folder->second.now.end(), BugError, "trace: ", path.string(), " is not there");
  return file->second;
}

void Disk::change(const fs::path& path, long file) {
  Folder& folder = folders_[path.parent_path().string()];
  const std::string name = path.filename().string();
  folder.pending.push_back({name, file});
  if (file == kGone) {
    folder.now.erase(name);
  } else {
    folder.now[name] = file;
  }
}

void Disk::apply(const TraceRecord& record) {
  switch (record.call) {
    case kOpen:
      if (const fs::path path = record.first; !folders_[path.parent_path().string()].now.contains(path.filename())) {
        files_[record.file];
        change(path, record.file);
      }
      break;
    case kWrite: files_[record.file].pending.push_back({static_cast<std::size_t>(record.offset), record.first}); break;
    case kSync:
      if (record.file > 0) {
        File& file = files_[record.file];
        for (const Write& write : file.pending) {
          place(file.durable, write.offset, write.data);
        }
        file.pending.clear();
      } else {
        Folder& folder = folders_[record.first];
        folder.durable = folder.now;
        folder.pending.clear();
      }
      break;
    case kRename: {
      const long file = file_at(record.first);
      change(record.first, kGone);
      change(record.second, file);
      break;
    }
    case kLink: change(record.second, file_at(record.first)); break;
    case kUnlink: change(record.first, kGone); break;
    case kMkdir:
      change(record.first, kFolder);
      folders_[record.first];
      break;
    default: break;
  }
}

void Disk::write_state(const fs::path& target, std::uint64_t seed) const {
  fs::remove_all(target);
  fs::create_directories(target);
  Dice dice(seed);
  const double names_survive = seed == 0 ? 0.0 : seed == 1 ? 1.0 : dice.roll();
  const double data_survive = seed <= 1 ? 0.0 : dice.roll();
  const std::size_t sector = dice.roll() < 0.5 ? 512 : 4096;
  std::map<long, std::string> contents;
  const auto content_of = [&](long number) -> const std::string& {
    const auto known = contents.find(number);
    if (known != contents.end()) {
      return known->second;
    }
    const File& file = files_.at(number);
    std::string content = file.durable;
    std::vector<Write> sectors;
    for (const Write& write : file.pending) {
      for (std::size_t at = 0; at < write.data.size();) {
        const std::size_t position = write.offset + at;
        const std::size_t end = std::min(write.data.size(), at + sector - position % sector);
        sectors.push_back({position, write.data.substr(at, end - at)});
        at = end;
      }
    }
    const bool grows = data_survive > 0.0 && dice.roll() < 0.5;  // the length may be on disk before the data are
    for (std::size_t i = sectors.size(); i > 1; --i) {
      std::swap(sectors[i - 1], sectors[dice.below(i)]);
    }
    for (Write& write : sectors) {
      if (dice.roll() < data_survive) {
        if (dice.roll() < 0.1) {
          for (char& byte : write.data) {
            byte = static_cast<char>(dice.below(256));
          }
        }
        place(content, write.offset, write.data);
      } else if (grows) {
        content.resize(std::max(content.size(), write.offset + write.data.size()), '\0');
      }
    }
    return contents[number] = std::move(content);
  };
  // Folders are ordered by path: parents come first.
  for (const auto& [path, folder] : folders_) {
    const fs::path here = target / fs::path(path).lexically_relative(root_);
    if (!fs::is_directory(here)) {
      continue;  // its own name was lost
    }
    std::map<std::string, long> names = folder.durable;
    std::vector<Change> changes = folder.pending;
    for (std::size_t i = changes.size(); seed > 1 && i > 1; --i) {
      std::swap(changes[i - 1], changes[dice.below(i)]);
    }
    for (const Change& change : changes) {
      if (dice.roll() < names_survive) {
        if (change.file == kGone) {
          names.erase(change.name);
        } else {
          names[change.name] = change.file;
        }
      }
    }
    for (const auto& [name, file] : names) {
      if (file == kFolder) {
        fs::create_directories(here / name);
      } else {
        std::ofstream(here / name, std::ios::binary) << content_of(file);
      }
    }
  }
}

}  // namespace regatta::faults
