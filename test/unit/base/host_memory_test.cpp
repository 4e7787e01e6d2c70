// What the kernel's control groups leave to a process, from made-up accounts of both versions.
#include "regatta/base/host_memory.hpp"

#include "regatta/base/files.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

struct Accounts {
  explicit Accounts(const std::string& groups) {
    write("meminfo", "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n");
    write("groups", groups);
  }

  void write(const std::string& name, const std::string& text) const {
    make_directories((folder.path() / name).parent_path());
    write_file_atomically(folder.path() / name, text);
  }

  MemoryAccounts accounts() const {
    return {folder.path() / "meminfo", folder.path() / "groups", folder.path() / "sys"};
  }

  test::TemporaryFolder folder;
};

TEST_CASE("without a limit the host's available memory is free") {
  const Accounts kernel("0::/user\n");
  kernel.write("sys/user/memory.max", "max\n");
  CHECK(memory_limit(kernel.accounts()) == 0);
  CHECK(free_memory(kernel.accounts()) == 8000 * 1024);
  CHECK(memory_kills(kernel.accounts()) == 0);
}

TEST_CASE("a limit on a group around this one counts, less what is in use there without the page cache") {
  const Accounts kernel("0::/slurm/job_1/step_0/task_0\n");
  kernel.write("sys/slurm/job_1/step_0/task_0/memory.max", "max\n");
  kernel.write("sys/slurm/job_1/step_0/task_0/memory.events", "low 0\noom 3\noom_kill 2\n");
  kernel.write("sys/slurm/job_1/memory.max", "3000000\n");
  kernel.write("sys/slurm/job_1/memory.stat", "anon 900000\nfile 1900000\nshmem 100000\n");
  CHECK(memory_limit(kernel.accounts()) == 3000000);
  CHECK(free_memory(kernel.accounts()) == 2000000);
  CHECK(memory_kills(kernel.accounts()) == 2);
}

TEST_CASE("groups of version 1 count too, and their huge number is no limit") {
  const Accounts kernel("5:cpu,cpuacct:/other\n4:memory:/slurm/job_1\n0::/\n");
  kernel.write("sys/memory/memory.limit_in_bytes", "9223372036854771712\n");
  kernel.write("sys/memory/slurm/job_1/memory.limit_in_bytes", "500000\n");
  kernel.write("sys/memory/slurm/job_1/memory.stat", "cache 400000\ntotal_rss 400000\ntotal_shmem 50000\n");
  kernel.write("sys/memory/slurm/job_1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  CHECK(memory_limit(kernel.accounts()) == 500000);
  CHECK(free_memory(kernel.accounts()) == 50000);
  CHECK(memory_kills(kernel.accounts()) == 1);
  kernel.write("sys/memory/slurm/job_1/memory.stat", "total_rss 600000\n");
  CHECK(free_memory(kernel.accounts()) == 0);
}

}  // namespace
}  // namespace regatta
