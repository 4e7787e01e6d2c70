// The words of commands, to and from the journal.
#include "regatta/sweep/next_command.hpp"

#include <algorithm>
#include <cstdlib>

#include "regatta/base/run_program.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// A record's `again`, if it is a list of words.
std::vector<std::string> words_of(const Json& record) {
  const auto again = record.find("again");
  std::vector<std::string> words;
  if (again != record.end() && again->is_array()) {
    for (const Json& word : *again) {
      if (!word.is_string()) {
        return {};
      }
      words.push_back(word.get<std::string>());
    }
  }
  return words;
}

std::string text_member(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json comparable_job(const JobOptions& job) {
  Json value = write_options(job);
  value.erase("trials");
  return value;
}

}  // namespace

std::vector<std::string> sweep_words(bool as_born, const fs::path& job) {
  return as_born ? std::vector<std::string>{kFolderWord} : std::vector<std::string>{job.string(), "-o", kFolderWord};
}

bool is_as_born(const SweepFiles& files, const SweepDefinition& definition) {
  std::error_code error;
  return !fs::exists(files.job(), error) ||
         comparable_job(read_definition(files).job) == comparable_job(definition.job);
}

std::string command_text(std::vector<std::string> words, const fs::path& folder) {
  const auto option = std::find(words.begin(), words.end(), "-o");
  const bool has_job = option != words.begin() && option != words.end();
  std::error_code error;
  if (has_job && !fs::exists(*std::prev(option), error)) {
    words.erase(std::prev(option), std::next(option));
  }
  bool named = false;
  for (std::string& word : words) {
    const bool is_folder = !named && word == kFolderWord;
    named = named || is_folder;
    word = shell_quote(is_folder ? folder.string() : word);
  }
  return join(words, " ");
}

std::string next_command(const std::vector<Json>& records, const fs::path& folder) {
  const bool on_cluster = find_program("sbatch") && std::getenv("SLURM_JOB_ID") == nullptr;
  std::vector<std::string> words = {"regatta", on_cluster ? "submit" : "sweep", kFolderWord};
  std::string newest;
  for (const Json& record : records) {
    const std::string type = text_member(record, "type");
    const std::string time = text_member(record, "time");
    if ((type != "join" && type != "submit") || time < newest) {
      continue;
    }
    if (auto again = words_of(record); !again.empty()) {
      newest = time;
      words = std::move(again);
    }
  }
  return command_text(std::move(words), folder);
}

std::string next_command(const SweepFiles& files) {
  return next_command(JournalReader(files.journal()).poll(), fs::weakly_canonical(files.root));
}

}  // namespace regatta
