// Which processors the children of a rank may use. mpirun binds a rank to one core; its trials are not to inherit that.
#pragma once

#include <string>
#include <vector>

namespace regatta {

/// Processors that this job may use here. Under mpirun: those of mpirun (or its daemon) itself, our parent, which is
/// not bound; otherwise our own.
/// @param parent_counts  started by mpirun
std::vector<int> job_cpus(bool parent_counts);

/// Our part of processors that `sharers` ranks share: a contiguous slice, or all of them if there are fewer than
/// sharers.
std::vector<int> cpu_slice(const std::vector<int>& cpus, int index, int sharers);

/// CPU threads of a trial: the sharers' part of the processors, at least 1.
int threads_of_share(const std::vector<int>& cpus, int sharers);

/// For people: "8 processors per rank", "1 processor per rank", or of ranks that have none of their own "2 processors
/// shared by 4 ranks".
std::string share_text(const std::vector<int>& cpus, int sharers);

}  // namespace regatta
