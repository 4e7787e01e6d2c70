#include "regatta/launch/doctor.hpp"

#include <algorithm>

#include <sys/stat.h>
#include <unistd.h>

#include "regatta/base/files.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

const DoctorFinding* find(const std::vector<DoctorFinding>& findings, const std::string& subject) {
  const auto found = std::find_if(findings.begin(), findings.end(),
                                  [&](const DoctorFinding& finding) { return finding.subject == subject; });
  return found == findings.end() ? nullptr : &*found;
}

TEST_CASE("a folder that can be written to is fit for a sweep, and nothing stays behind") {
  const test::TemporaryFolder folder;
  const auto findings = examine_file_system(folder / "new");
  for (const char* subject : {"file system", "rename", "link", "fsync", "locks", "rights", "disk"}) {
    INFO(subject);
    REQUIRE(find(findings, subject) != nullptr);
    CHECK(find(findings, subject)->level != DoctorFinding::Level::kFault);
  }
  CHECK(find(findings, "rename")->level == DoctorFinding::Level::kGood);
  CHECK(find(findings, "link")->level == DoctorFinding::Level::kGood);
  CHECK(std::filesystem::is_empty(folder / "new"));
}

TEST_CASE("a folder that cannot be made is a fault with its reason") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "file", "");
  const auto findings = examine_file_system(folder / "file" / "below");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].level == DoctorFinding::Level::kFault);
  CHECK(findings[0].text.find("/file: cannot make directory: a file is in its place") != std::string::npos);
}

TEST_CASE("rights that lock the group out, or let everybody in, are noted") {
  const test::TemporaryFolder folder;
  const mode_t before = ::umask(077);
  make_directories(folder / "shared");
  REQUIRE(::chmod((folder / "shared").c_str(), 02770) == 0);
  const DoctorFinding closed = *find(examine_file_system(folder / "shared"), "rights");
  ::umask(0);
  const DoctorFinding open = *find(examine_file_system(folder / "shared"), "rights");
  ::umask(007);
  const DoctorFinding good = *find(examine_file_system(folder / "shared"), "rights");
  ::umask(before);
  CHECK(closed.level == DoctorFinding::Level::kNote);
  CHECK(closed.text.find("600") != std::string::npos);
  CHECK(open.level == DoctorFinding::Level::kNote);
  CHECK(good.level == DoctorFinding::Level::kGood);
}

TEST_CASE("a build without CUDA kernels is noted, no fault") {
  const DoctorFinding with = kernel_finding("nvcc V13.0.88");
  CHECK(with.level == DoctorFinding::Level::kGood);
  CHECK(with.text == "nvcc V13.0.88");
  const DoctorFinding without = kernel_finding("left out: no nvcc of CUDA 13");
  CHECK(without.level == DoctorFinding::Level::kNote);
  CHECK(without.subject == "CUDA kernels");
  CHECK(without.text.rfind("left out: no nvcc of CUDA 13; ", 0) == 0);
}

TEST_CASE("limits and ranks are told where there is no launcher") {
  CHECK(find(examine_limits(), "processors") != nullptr);
  CHECK(examine_ranks().front().text.find("one process") != std::string::npos);
}

}  // namespace
}  // namespace regatta
