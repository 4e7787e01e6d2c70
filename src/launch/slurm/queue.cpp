// The first record of each journal file, and squeue.
#include "regatta/launch/queue.hpp"

#include <fstream>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "--format=%F|%i|%T|%M|%l|%S|%R";
constexpr std::size_t kFields = 7;

struct KnownJobs {
  std::set<std::string> all;
  std::set<std::string> reports;
};

std::string text_member(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// "join" and "submit" are the first records of their files; a torn one is passed over.
void take_first_record(const fs::path& shard, KnownJobs& known) {
  std::string line;
  std::ifstream in(shard);
  std::getline(in, line);
  const Json record = Json::parse(line, nullptr, false);
  if (!record.is_object()) {
    return;
  }
  const std::string type = text_member(record, "type");
  if (type == "join" && record.value("slurm", Json()) == true) {
    const std::string array = text_member(record, "array");
    known.all.insert(array.empty() ? text_member(record, "job") : array);
  } else if (type == "submit") {
    for (const Json& job : record.value("jobs", Json::array())) {
      known.all.insert(job.is_string() ? job.get<std::string>() : std::string());
    }
    if (const std::string report = text_member(record, "collect"); !report.empty()) {
      known.all.insert(report);
      known.reports.insert(report);
    }
  }
  known.all.erase("");
}

KnownJobs jobs_of(const SweepFiles& files) {
  KnownJobs known;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(files.journal(), error)) {
    if (entry.path().extension() == ".jsonl") {
      take_first_record(entry.path(), known);
    }
  }
  return known;
}

std::string job_line(const QueuedJob& job) {
  std::string line = str(job.id, "  ", job.state);
  if (job.state == "RUNNING") {
    line += str(" on ", job.reason, " for ", job.used, " of ", job.limit);
  } else {
    line += str(" ", job.reason);
    line += job.state == "PENDING" && job.start != "N/A" ? str(", expected to start ", job.start) : std::string();
  }
  return line + (job.is_report ? "  (the report)" : "");
}

}  // namespace

SweepQueue read_queue(const SweepFiles& files) {
  const KnownJobs known = jobs_of(files);
  SweepQueue queue;
  queue.known = known.all;
  if (known.all.empty()) {
    return queue;
  }
  const auto squeue = find_program("squeue");
  if (!squeue) {
    queue.error = "there is no squeue on this machine";
    return queue;
  }
  try {
    // All jobs: squeue refuses a list of which it has forgotten one.
    const std::string listing = run_program_for_text({*squeue, "--noheader", "--all", "--array", kFormat}, "");
    for (const std::string& line : split(listing, '\n')) {
      const auto words = split(std::string(trim(line)), '|');
      if (words.size() >= kFields && known.all.contains(words[0])) {
        queue.jobs.push_back({words[1], words[2], words[3], words[4], words[5], one_line(words[6], 60),
                              known.reports.contains(words[0])});
      }
    }
  } catch (const Error& error) {
    queue.error = str("squeue does not answer: ", one_line(error.what(), 80));
  }
  return queue;
}

std::string queue_text(const SweepQueue& queue) {
  if (queue.known.empty()) {
    return "";
  }
  const std::string names = join(std::vector<std::string>(queue.known.begin(), queue.known.end()), ", ");
  if (!queue.error.empty()) {
    return str("queue: ", queue.error, "; Slurm jobs of this sweep: ", names, "\n");
  }
  if (queue.jobs.empty()) {
    return str("queue: no Slurm job of this sweep is in it any more (", names, ")\n");
  }
  std::string text;
  for (const QueuedJob& job : queue.jobs) {
    text += str(text.empty() ? "queue: " : "       ", job_line(job), "\n");
  }
  return text;
}

Json to_json(const SweepQueue& queue) {
  Json jobs = Json::array();
  for (const QueuedJob& job : queue.jobs) {
    jobs.push_back({{"id", job.id},
                    {"state", job.state},
                    {"used", job.used},
                    {"limit", job.limit},
                    {"start", job.start},
                    {"reason", job.reason},
                    {"report", job.is_report}});
  }
  return {{"known", queue.known}, {"error", queue.error.empty() ? Json() : Json(queue.error)}, {"jobs", jobs}};
}

}  // namespace regatta
