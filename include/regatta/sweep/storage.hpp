// What a sweep needs of its file system: journal shards that only grow and claims that exactly one process gets. The
// sweep's code sees only this; the real one is a directory, the simulation's lives in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/owner.hpp"

namespace regatta {

/// A shard open for its only writer.
class ShardFile {
 public:
  virtual ~ShardFile() = default;

  /// Appends the text and makes it durable. @return 0, or errno; some of the text may then have been written
  virtual int append(std::string_view text) = 0;

  /// For messages.
  virtual std::string path() const = 0;
};

/// One process's view of a sweep's shared files. Shards are numbered as this view first saw them.
class SweepStorage {
 public:
  virtual ~SweepStorage() = default;

  /// Looks at the journal's directory. @return how many shards have been seen so far; their numbers are 0, 1, ...
  virtual std::size_t list_shards() = 0;

  virtual const std::string& shard_name(std::size_t shard) const = 0;

  /// Size as this machine sees it now, -1 if it is not there. Shards only grow, but a view may lag behind.
  /// @throws DataError if that cannot be told
  virtual std::int64_t shard_bytes(std::size_t shard) = 0;

  /// What the shard holds from `offset` on, as far as this machine sees it. @throws DataError if it cannot be read
  virtual std::string read_shard(std::size_t shard, std::int64_t offset) = 0;

  /// Nothing if the name is taken. @throws DataError
  virtual std::unique_ptr<ShardFile> create_shard(const std::string& name) = 0;

  /// Makes a shard that is whole from the start. @return false if the name is taken @throws DataError
  virtual bool write_whole_shard(const std::string& name, const std::string& text) = 0;

  /// @param decision  what is claimed besides the attempt, a promotion or a prune; null: nothing
  /// @return false if somebody has the claim @throws DataError
  virtual bool try_claim(std::int64_t trial, int attempt, const Owner& owner, const Json& decision) = 0;

  /// Who holds a claim; nothing if nobody does. @throws DataError if it cannot be read
  virtual std::optional<Owner> read_claim(std::int64_t trial, int attempt) = 0;
};

/// A sweep's directory: shards are files opened for appending and fsynced, claims are made by link.
class DirectoryStorage final : public SweepStorage {
 public:
  explicit DirectoryStorage(const SweepFiles& files) : DirectoryStorage(files.journal(), files) {}

  /// The journal alone, in any directory.
  static DirectoryStorage journal_only(std::filesystem::path journal) { return {std::move(journal), SweepFiles{}}; }

  std::size_t list_shards() override;
  const std::string& shard_name(std::size_t shard) const override { return names_.at(shard); }
  std::int64_t shard_bytes(std::size_t shard) override;
  std::string read_shard(std::size_t shard, std::int64_t offset) override;
  std::unique_ptr<ShardFile> create_shard(const std::string& name) override;
  bool write_whole_shard(const std::string& name, const std::string& text) override;
  bool try_claim(std::int64_t trial, int attempt, const Owner& owner, const Json& decision) override;
  std::optional<Owner> read_claim(std::int64_t trial, int attempt) override;

 private:
  DirectoryStorage(std::filesystem::path journal, SweepFiles files)
      : journal_(std::move(journal)), files_(std::move(files)) {}

  std::filesystem::path journal_;
  SweepFiles files_;
  std::vector<std::string> names_;
  std::map<std::string, std::size_t> numbers_;
};

}  // namespace regatta
