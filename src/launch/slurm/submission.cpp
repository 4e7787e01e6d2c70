// From options and site profile to scripts and sbatch commands, and their execution.
#include "regatta/launch/submission.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "launch/slurm/batch_script.hpp"
#include "regatta/base/duration.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/launch/sweep_times.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/next_command.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr double kMinute_s = 60.0;  // Slurm rounds time limits up to these

std::string absolute_text(const fs::path& path) {
  const std::string text = fs::absolute(path).lexically_normal().string();
  const bool printable = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= ' ' && c != 0x7f; });
  REGATTA_REQUIRE(printable, ConfigError, "'", one_line(text), "': a path with control characters");
  return text;
}

void require_printable(const std::vector<std::string>& words, const char* what) {
  for (const std::string& word : words) {
    const bool printable = std::all_of(word.begin(), word.end(), [](unsigned char c) { return c >= ' ' && c != 0x7f; });
    REGATTA_REQUIRE(printable && !word.empty(), ConfigError, what, ": '", one_line(word, 80),
                    "': empty or with control characters");
  }
}

/// sbatch's --output for the logs in `folder`: '%' begins a pattern there, and a backslash would switch patterns off.
std::string log_option(const std::string& folder, const char* pattern) {
  REGATTA_REQUIRE(folder.find('\\') == std::string::npos, ConfigError, "'", folder,
                  "': sbatch cannot write logs into a path with a backslash");
  std::string escaped;
  for (const char c : folder) {
    escaped += c == '%' ? std::string("%%") : std::string(1, c);
  }
  return str("--output=", escaped, "/", pattern);
}

/// The user's value, else the site's.
template <class T>
T choose(const T& asked, const T& of_site) {
  return asked == T() ? of_site : asked;
}

void set_if_given(BatchScript& script, const char* option, const std::string& value) {
  if (!value.empty()) {
    script.set(option, value);
  }
}

void set_queue(BatchScript& script, const SubmitOptions& options, const SiteProfile& site) {
  set_if_given(script, "--account", options.account);
  set_if_given(script, "--qos", options.qos);
  set_if_given(script, "--partition", choose(options.partition, site.partition));
}

void check_needs(const BatchScript& script, const SiteProfile& site) {
  const std::vector<std::string> known = {"account", "qos", "partition", "constraint", "mem"};
  std::vector<std::string> missing;
  for (const std::string& need : split(site.needs, ',')) {
    if (need.empty()) {
      continue;
    }
    REGATTA_REQUIRE(std::find(known.begin(), known.end(), need) != known.end(), ConfigError, site.file.string(),
                    ": /needs: '", need, "', expected one of: ", join(known, ", "));
    if (script.value("--" + need).empty()) {
      missing.push_back("--" + need);
    }
  }
  REGATTA_REQUIRE(missing.empty(), ConfigError, "submit: this cluster needs ", join(missing, " and "), " (",
                  site.file.string(), ")");
}

void set_gpus(BatchScript& script, const SubmitOptions& options, const SiteProfile& site) {
  const std::string gpus = str(choose(options.gpus_per_node, site.gpus_per_node));
  const std::string typed = site.gpu_type.empty() ? gpus : str(site.gpu_type, ":", gpus);
  if (site.gpu_option == "--gres") {
    script.remove("--gpus-per-node");
    script.set("--gres", "gpu:" + typed);
  } else {
    script.set(site.gpu_option, typed);
  }
  script.set("--ntasks-per-node", gpus);
  script.set("--cpus-per-task", str(choose(options.cpus_per_gpu, site.cpus_per_gpu)));
  set_if_given(script, "--constraint", choose(options.constraint, site.constraint));
  set_if_given(script, "--mem", choose(options.mem, site.mem));
}

/// The value of an option of `regatta sweep`, given as two words or as one with '='; the last one counts.
std::optional<std::string> value_of(const std::vector<std::string>& words, const std::string& option) {
  std::optional<std::string> value;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == option && i + 1 < words.size()) {
      value = words[i + 1];
    } else if (words[i].starts_with(option + "=")) {
      value = words[i].substr(option.size() + 1);
    }
  }
  return value;
}

/// Refuses a time limit under which the ranks would leave before any trial could begin, at every start of the job.
void check_time_limit(const SubmissionPlan& plan, double limit_s, const SubmitOptions& options) {
  SweepTimes times;
  if (const auto given = value_of(options.sweep_options, "--times")) {
    read_options(parse_json(*given, "--times"), times);
  }
  if (const auto leave = value_of(options.sweep_options, "--leave-after")) {
    leave_after_s(*leave, times);
  }
  const double whole_s = std::ceil(limit_s / kMinute_s) * kMinute_s;
  const double other_s = times.signal_early_s + times.start_s + least_slice_s(times);
  const double needed_s = plan.signal_s + other_s;
  const double latest_s = whole_s - other_s;
  REGATTA_REQUIRE(whole_s >= needed_s, ConfigError, "--time ", plan.time, ": no trial can start in ", whole_s,
                  " s: trials are asked to save ", plan.signal_s, " s before the limit (--signal-s) or up to ",
                  times.signal_early_s, " s earlier, and before that a job needs ", times.start_s, " s to start, ",
                  least_slice_text(times), ": together ", needed_s, " s. Give --time ",
                  clock_text(std::ceil(needed_s / kMinute_s) * kMinute_s), " or more",
                  latest_s >= 10 ? str(", or --signal-s ", std::floor(latest_s), " or less") : std::string());
}

/// The time limit, and the signal that comes before it.
void set_times(BatchScript& script, SubmissionPlan& plan, const SubmitOptions& options, const SiteProfile& site) {
  double time_s = duration_s(choose(options.time, script.value("--time")), "--time", BareNumber::kMinutes);
  if (!site.max_time.empty()) {
    const double longest_s = duration_s(site.max_time, site.file.string() + ": /max_time", BareNumber::kMinutes);
    time_s = options.time.empty() ? std::min(time_s, longest_s) : time_s;
    REGATTA_REQUIRE(time_s <= longest_s, ConfigError, "--time ", options.time, ": this cluster allows ", site.max_time,
                    " (", site.file.string(), ")");
  }
  plan.time = clock_text(time_s);
  plan.signal_s = choose(options.signal_s, site.signal_s);
  check_time_limit(plan, time_s, options);
  script.set("--time", plan.time);
  script.set("--signal", str("USR2@", plan.signal_s));
}

BatchJob sweep_job(SubmissionPlan& plan, const SubmitOptions& options, const std::string& name,
                   const SiteProfile& site) {
  BatchScript script(kSweepScript);
  script.set("--job-name", name);
  script.set("--nodes", str(plan.nodes_of_a_job));
  if (plan.array > 1) {
    script.set("--array", str("0-", plan.array - 1));
  }
  set_queue(script, options, site);
  set_gpus(script, options, site);
  set_times(script, plan, options, site);
  if (!plan.requeue) {
    script.remove("--requeue");
    script.set("--no-requeue");
  }
  check_needs(script, site);
  script.remove("--output");

  BatchJob job;
  job.name = "sweep.sbatch";
  job.text = script.text();
  const std::string folder = (plan.files.root / "slurm").string();
  job.options = {"--parsable", "--export=ALL", log_option(folder, plan.array > 1 ? "%x-%A_%a.log" : "%x-%j.log")};
  job.options.insert(job.options.end(), options.sbatch.begin(), options.sbatch.end());
  const bool continues = fs::is_directory(options.job);  // a sweep's folder, not a job file
  job.arguments = {continues ? plan.files.root.string() : absolute_text(options.job), "-o", plan.files.root.string()};
  for (const std::string& setting : options.settings) {
    job.arguments.insert(job.arguments.end(), {"--set", setting});
  }
  job.arguments.insert(job.arguments.end(), options.sweep_options.begin(), options.sweep_options.end());
  return job;
}

BatchJob collect_job(const SubmissionPlan& plan, const SubmitOptions& options, const std::string& name,
                     const SiteProfile& site) {
  BatchScript script(kCollectScript);
  script.set("--job-name", name + "-report");
  set_queue(script, options, site);
  script.remove("--output");
  BatchJob job;
  job.name = "collect.sbatch";
  job.text = script.text();
  job.options = {"--parsable", "--export=ALL", log_option((plan.files.root / "slurm").string(), "%x-%j.log")};
  job.arguments = {plan.files.root.string()};
  return job;
}

std::vector<std::string> command_of(const SubmissionPlan& plan, const BatchJob& job, const std::string& after) {
  std::vector<std::string> command = {"sbatch"};
  command.insert(command.end(), job.options.begin(), job.options.end());
  if (!after.empty()) {
    command.push_back("--dependency=afterany:" + after);
  }
  command.push_back((plan.files.root / "slurm" / job.name).string());
  command.insert(command.end(), job.arguments.begin(), job.arguments.end());
  return command;
}

std::string typed_text(const SubmissionPlan& plan, const BatchJob& job, const std::string& after) {
  std::vector<std::string> words;
  for (const auto& [name, value] : plan.environment) {
    words.push_back(str(name, "=", shell_quote(value)));
  }
  for (const std::string& word : command_of(plan, job, after)) {
    words.push_back(shell_quote(word));
  }
  return join(words, " ");
}

/// The answer of --parsable: "ID" or "ID;CLUSTER".
std::string hand_in(const std::string& sbatch, std::vector<std::string> command) {
  command.front() = sbatch;
  const std::string answer = run_program_for_text(command, "");
  const std::string id = split(std::string(trim(answer)), ';').front();
  REGATTA_REQUIRE(!id.empty() && id.find_first_not_of("0123456789") == std::string::npos, CommError,
                  "sbatch: answered '", one_line(answer, 80), "', expected a job's number");
  return id;
}

std::string cluster_name() {
  const auto scontrol = find_program("scontrol");
  if (!scontrol) {
    return "";
  }
  try {
    for (const std::string& line : split(run_program_for_text({*scontrol, "show", "config"}, ""), '\n')) {
      const std::size_t equals = line.find('=');
      if (equals != std::string::npos && trim(std::string_view(line).substr(0, equals)) == "ClusterName") {
        return std::string(trim(std::string_view(line).substr(equals + 1)));
      }
    }
  } catch (const Error&) {
    return "";  // scontrol has said why; the jobs are in the queue all the same
  }
  return "";
}

void record_submission(const SubmissionPlan& plan, const SubmittedJobs& done) {
  JournalWriter writer(plan.files.journal(), this_job());
  Json fields = {{"cluster", done.cluster}, {"jobs", done.jobs}};
  if (!done.collect.empty()) {
    fields["collect"] = done.collect;
  }
  fields["again"] = plan.again;
  writer.append("submit", std::move(fields));
  writer.commit();
}

}  // namespace

SubmissionPlan plan_submission(const SubmitOptions& options, const std::string& name, const fs::path& home) {
  const SiteProfile site =
      options.site.empty() ? SiteProfile() : read_site_profile(find_site_profile(options.site, home));
  require_printable(options.sbatch, "--sbatch");
  require_printable(options.settings, "--set");
  require_printable(options.sweep_options, "after --");
  SubmissionPlan plan;
  plan.files.root = absolute_text(options.directory);
  plan.chain = options.chain;
  plan.requeue = options.chain == 1 && site.requeue == "yes";
  plan.array = options.single_job ? 1 : options.nodes;
  plan.nodes_of_a_job = options.single_job ? options.nodes : 1;
  plan.sweep = sweep_job(plan, options, name, site);
  if (options.collect) {
    plan.collect.push_back(collect_job(plan, options, name, site));
  }
  plan.environment = {
      {"REGATTA_HOME", absolute_text(home)}, {"REGATTA_MPI", site.mpi}, {"REGATTA_SIGNAL_S", str(plan.signal_s)}};
  if (!site.file.empty()) {
    plan.environment["REGATTA_SITE"] = absolute_text(site.file);
  }
  if (!plan.requeue) {
    plan.environment["REGATTA_MAX_REQUEUES"] = "0";
  }
  return plan;
}

void remember_command(SubmissionPlan& plan, const SubmitOptions& options, bool as_born) {
  std::vector<std::string>& words = plan.again;
  words = {"regatta", "submit"};
  const auto append = [&words](const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  const auto append_option = [&append](const char* option, const std::string& value) {
    if (!value.empty() && value != "0") {
      append({option, value});
    }
  };
  append(sweep_words(as_born, absolute_text(options.job)));
  append_option("--nodes", options.nodes > 1 ? str(options.nodes) : "");
  append(options.single_job ? std::vector<std::string>{"--single-job"} : std::vector<std::string>());
  append_option("--chain", options.chain > 1 ? str(options.chain) : "");
  append_option("--time", options.time);
  append_option("--site", options.site);
  append_option("--account", options.account);
  append_option("--qos", options.qos);
  append_option("--partition", options.partition);
  append_option("--constraint", options.constraint);
  append_option("--mem", options.mem);
  append_option("--gpus-per-node", str(options.gpus_per_node));
  append_option("--cpus-per-gpu", str(options.cpus_per_gpu));
  append_option("--signal-s", str(options.signal_s));
  append(options.collect ? std::vector<std::string>() : std::vector<std::string>{"--no-collect"});
  for (const std::string& option : options.sbatch) {
    append({"--sbatch=" + option});
  }
  for (const std::string& setting : as_born ? std::vector<std::string>() : options.settings) {
    append({"--set", setting});
  }
  if (!options.sweep_options.empty()) {
    append({"--"});
    append(options.sweep_options);
  }
  plan.environment[kAgainVariable] = dump_line(Json(words));
}

std::string submission_text(const SubmissionPlan& plan) {
  std::string text = str(plan.sweep.text, "\n# ", typed_text(plan, plan.sweep, ""), "\n");
  if (plan.chain > 1) {
    text += str("# then ", plan.chain - 1, " times: ", typed_text(plan, plan.sweep, "THE JOB BEFORE"), "\n");
  }
  for (const BatchJob& job : plan.collect) {
    text += str("# then slurm/collect.sbatch: ", typed_text(plan, job, "THE LAST JOB"), "\n");
  }
  return text;
}

SubmittedJobs submit_jobs(const SubmissionPlan& plan) {
  const auto sbatch = find_program("sbatch");
  REGATTA_REQUIRE(sbatch, ConfigError,
                  "submit: no sbatch in PATH: give this command on a login node of a Slurm cluster (--print shows the "
                  "script anywhere; `regatta sweep` runs here)");
  make_directories(plan.files.root / "slurm");
  write_file_atomically(plan.files.root / "slurm" / plan.sweep.name, plan.sweep.text);
  for (const BatchJob& job : plan.collect) {
    write_file_atomically(plan.files.root / "slurm" / job.name, job.text);
  }
  for (const auto& [name, value] : plan.environment) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  SubmittedJobs done;
  try {
    for (int i = 0; i < plan.chain; ++i) {
      const std::string before = done.jobs.empty() ? "" : done.jobs.back();
      done.jobs.push_back(hand_in(*sbatch, command_of(plan, plan.sweep, before)));
    }
    for (const BatchJob& job : plan.collect) {
      done.collect = hand_in(*sbatch, command_of(plan, job, done.jobs.back()));
    }
  } catch (const Error& error) {
    if (done.jobs.empty()) {
      throw;
    }
    done.cluster = cluster_name();
    record_submission(plan, done);
    throw Error(error.code(), str(error.what(), "; in the queue already: ", join(done.jobs, " ")));
  }
  done.cluster = cluster_name();
  record_submission(plan, done);
  return done;
}

}  // namespace regatta
