// How ranks share processors.
#include "launch/cpu_share.hpp"

#include <numeric>
#include <set>

#include "support/catch.hpp"

namespace regatta {
namespace {

TEST_CASE("ranks that share processors get disjoint slices of equal width") {
  std::vector<int> cpus(10);
  std::iota(cpus.begin(), cpus.end(), 4);
  std::set<int> seen;
  for (int index = 0; index < 4; ++index) {
    const auto slice = cpu_slice(cpus, index, 4);
    CHECK(slice.size() == 2);
    for (const int cpu : slice) {
      CHECK(seen.insert(cpu).second);
    }
  }
  CHECK(threads_of_share(cpus, 4) == 2);
}

TEST_CASE("more ranks than processors share them all, with one thread each") {
  const std::vector<int> cpus = {0, 1};
  CHECK(cpu_slice(cpus, 3, 4) == cpus);
  CHECK(threads_of_share(cpus, 4) == 1);
  CHECK(threads_of_share(cpus, 1) == 2);
}

TEST_CASE("processors are said as they are shared") {
  CHECK(share_text({0, 1}, 4) == "2 processors shared by 4 ranks");
  CHECK(share_text({0}, 2) == "1 processor shared by 2 ranks");
  CHECK(share_text({0, 1}, 2) == "1 processor per rank");
  CHECK(share_text({0, 1, 2, 3}, 2) == "2 processors per rank");
  CHECK(share_text({0, 1}, 1) == "2 processors");
  CHECK(share_text({0}, 1) == "1 processor");
}

TEST_CASE("a process may run somewhere") {
  CHECK_FALSE(job_cpus(false).empty());
  CHECK(job_cpus(true).size() >= job_cpus(false).size());
}

}  // namespace
}  // namespace regatta
