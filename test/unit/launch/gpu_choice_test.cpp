// Which GPU a rank takes, as a table.
#include "regatta/base/error.hpp"
#include "regatta/launch/gpu_choice.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

GpuSituation situation(const char* wanted, const char* visible, int present, int local_rank, int local_size) {
  return {wanted, visible == nullptr ? std::nullopt : std::optional<std::string>(visible), present, local_rank,
          local_size};
}

TEST_CASE("one visible GPU is the rank's, several are shared out by local rank, none means the CPU") {
  struct Row {
    GpuSituation given;
    const char* device;
    const char* visible;
  };
  const Row rows[] = {
      {situation("auto", "3", 8, 2, 4), "cuda:0", "3"},
      {situation("auto", "0,1,2,3", 8, 2, 4), "cuda:0", "2"},
      {situation("cuda", "4, 5", 0, 1, 2), "cuda:0", "5"},
      {situation("auto", "GPU-aa,GPU-bb", 0, 1, 2), "cuda:0", "GPU-bb"},
      {situation("auto", "1,-1,2", 8, 0, 1), "cuda:0", "1"},
      {situation("auto", nullptr, 4, 3, 4), "cuda:0", "3"},
      {situation("auto", nullptr, 0, 0, 4), "cpu", ""},
      {situation("auto", "", 4, 0, 1), "cpu", ""},
      {situation("auto", "NoDevFiles", 4, 0, 1), "cpu", ""},
      {situation("cpu", "0,1", 2, 5, 8), "cpu", ""},
  };
  for (const Row& row : rows) {
    INFO(row.given.wanted << " visible " << row.given.visible.value_or("(unset)") << " local rank "
                          << row.given.local_rank);
    const GpuChoice choice = choose_gpu(row.given);
    CHECK(choice.device == row.device);
    CHECK(choice.visible == row.visible);
    CHECK(choice.is_gpu() == (choice.device != "cpu"));
  }
}

TEST_CASE("more ranks than GPUs, or no GPU where one is wanted, is an error that says so") {
  CHECK_THROWS_AS(choose_gpu(situation("auto", "0,1", 0, 2, 4)), DeviceError);
  CHECK_THROWS_WITH(choose_gpu(situation("auto", nullptr, 2, 3, 4)),
                    Catch::Contains("4 ranks on this machine, but 2 visible GPUs"));
  CHECK_THROWS_WITH(choose_gpu(situation("cuda", nullptr, 0, 0, 1)), Catch::Contains("this machine has no GPU"));
  CHECK_THROWS_WITH(choose_gpu(situation("cuda", "", 2, 0, 1)), Catch::Contains("CUDA_VISIBLE_DEVICES is ''"));
}

TEST_CASE("two ranks of one machine may not share a GPU; numbers repeat from machine to machine") {
  const std::vector<std::pair<std::string, std::string>> good = {{"n1", "0"}, {"n1", "1"}, {"n2", "0"}, {"n2", "1"}};
  const std::vector<std::pair<std::string, std::string>> shared = {{"n1", "0"}, {"n1", "1"}, {"n2", "0"}, {"n2", "0"}};
  const std::vector<std::pair<std::string, std::string>> cpus = {{"n1", ""}, {"n1", ""}};
  for (int rank = 0; rank < 4; ++rank) {
    CHECK_NOTHROW(check_gpu_is_own(good, rank));
  }
  CHECK_NOTHROW(check_gpu_is_own(cpus, 1));
  CHECK_NOTHROW(check_gpu_is_own(shared, 2));
  CHECK_THROWS_WITH(check_gpu_is_own(shared, 3), Catch::Contains("ranks 2 and 3 of n2"));
}

TEST_CASE("a device without NVML is known by its visible name, the CPU by nothing") {
  CHECK(gpu_identity({}).empty());
  CHECK(gpu_identity({"cuda:0", "GPU-aa", 0}) == "GPU-aa");
}

}  // namespace
}  // namespace regatta
