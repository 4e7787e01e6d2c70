// A sweep as jobs of Slurm: the batch scripts, the sbatch commands, and handing them in. What `regatta submit` does;
// needs no MPI.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "regatta/launch/site_profile.hpp"
#include "regatta/sweep/layout.hpp"

namespace regatta {

/// What the user asks for; empty or 0: the site's or the script's own value.
struct SubmitOptions {
  std::filesystem::path job;          ///< job file, or the folder of a sweep to continue
  std::filesystem::path directory;    ///< the sweep's
  std::vector<std::string> settings;  ///< --set of `regatta sweep`
  std::string site;                   ///< name or path of a profile
  int nodes = 1;
  bool single_job = false;  ///< one job of `nodes` nodes instead of `nodes` jobs of one
  int chain = 1;            ///< number of jobs, one after the other
  std::string time;
  std::string account;
  std::string qos;
  std::string partition;
  std::string constraint;
  std::string mem;
  int gpus_per_node = 0;
  int cpus_per_gpu = 0;
  int signal_s = 0;
  bool collect = true;                     ///< a job that writes the report when the others have ended
  std::vector<std::string> sbatch;         ///< further options of sbatch, as they are
  std::vector<std::string> sweep_options;  ///< further options of `regatta sweep`, as they are
};

/// One script and the options and arguments of its sbatch command.
struct BatchJob {
  std::string name;                    ///< of the script's file: "sweep.sbatch"
  std::string text;                    ///< the script
  std::vector<std::string> options;    ///< of sbatch, before the script
  std::vector<std::string> arguments;  ///< of the script
};

struct SubmissionPlan {
  SweepFiles files;
  std::map<std::string, std::string> environment;  ///< of the jobs, over the user's own
  BatchJob sweep;
  std::vector<BatchJob> collect;  ///< one or none
  int array = 1;                  ///< jobs at the same time
  int nodes_of_a_job = 1;
  int chain = 1;
  bool requeue = true;             ///< jobs put themselves back into the queue
  int signal_s = 0;                ///< seconds before the time limit at which trials save
  std::string time;                ///< time limit, as Slurm writes it
  std::vector<std::string> again;  ///< words of the `regatta submit` that continues the sweep (sweep/next_command.hpp)
};

/// Puts what Slurm must know into the scripts. Reads the site's profile; writes and starts nothing.
/// @param name  the job's; @param home  the folder that holds bin/ of the programs
/// @throws ConfigError: a value that a batch script may not hold, a missing option that the site needs, a time limit
/// above the site's or too short for any trial to begin
SubmissionPlan plan_submission(const SubmitOptions& options, const std::string& name,
                               const std::filesystem::path& home);

/// What a person types to continue, for the journal and for the jobs. @param as_born  see `sweep_words`
void remember_command(SubmissionPlan& plan, const SubmitOptions& options, bool as_born);

/// The scripts and commands, as a person would type them.
std::string submission_text(const SubmissionPlan& plan);

struct SubmittedJobs {
  std::string cluster;            ///< "" if the controller does not tell
  std::vector<std::string> jobs;  ///< ids; that of an array stands for all its elements
  std::string collect;            ///< id, or ""
};

/// Writes the scripts into SWEEP/slurm and hands them to sbatch, then records a "submit" in the journal (also of what
/// was handed in before an error). The sweep's directory must exist.
/// @throws ConfigError without sbatch; an Error with sbatch's exit code if it refuses
SubmittedJobs submit_jobs(const SubmissionPlan& plan);

}  // namespace regatta
