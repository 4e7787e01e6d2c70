// Profiles of clusters: the shipped ones, and what is wrong with others.
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/launch/site_profile.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;

namespace {

SiteProfile read(const std::string& text) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "site.sh", text);
  return read_site_profile(folder / "site.sh");
}

}  // namespace

TEST_CASE("the template says the defaults, and every key that there is") {
  const std::filesystem::path file = std::filesystem::path(REGATTA_SOURCE_DIR) / "env/generic.sh";
  SiteProfile profile = read_site_profile(file);
  CHECK(write_options(profile) == write_options(SiteProfile()));
  const std::string text = read_file(file);
  const std::string page = read_file(std::filesystem::path(REGATTA_SOURCE_DIR) / "docs/slurm.md");
  SiteProfile::visit(profile, [&](const char* name, auto&, const char*, const Rule& = {}) {
    CAPTURE(name);
    CHECK(text.find(std::string("#REGATTA ") + name + "=") != std::string::npos);
    CHECK(page.find(std::string("| `") + name + "`") != std::string::npos);
  });
}

TEST_CASE("profiles are found by name in an installation and above a build, or by path") {
  const std::filesystem::path checkout = REGATTA_SOURCE_DIR;
  CHECK(find_site_profile("baskerville", checkout) == checkout / "env/baskerville.sh");
  CHECK(find_site_profile("baskerville", checkout / "build/release") == checkout / "env/baskerville.sh");
  CHECK(find_site_profile("./mine.sh", checkout) == "./mine.sh");
  CHECK_THROWS_WITH(find_site_profile("nowhere", checkout),
                    Catch::StartsWith("--site: there is no profile 'nowhere', have: baskerville, generic"));
  CHECK_THROWS_AS(find_site_profile("", checkout), ConfigError);
}

TEST_CASE("a profile's lines") {
  const SiteProfile profile = read(
      "# shell\n#REGATTA gpus_per_node=8\n#REGATTA  gpu_type = a100 \n#REGATTA needs=account,qos\n"
      "# #REGATTA mem=1G\nmodule load x\n");
  CHECK(profile.gpus_per_node == 8);
  CHECK(profile.gpu_type == "a100");
  CHECK(profile.needs == "account,qos");
  CHECK(profile.mem.empty());
  CHECK(profile.cpus_per_gpu == SiteProfile().cpus_per_gpu);
  CHECK(profile.file.is_absolute());
}

TEST_CASE("what is wrong with a profile is said with file and line") {
  using Catch::Contains;
  CHECK_THROWS_WITH(read("#REGATTA gpus=4\n"), Contains("gpus") && Contains("gpus_per_node"));
  CHECK_THROWS_WITH(read("\n#REGATTA gpus_per_node\n"),
                    Contains("site.sh:2: ") && Contains("expected #REGATTA key=value"));
  CHECK_THROWS_WITH(read("#REGATTA gpus_per_node=four\n"), Contains("/gpus_per_node"));
  CHECK_THROWS_WITH(read("#REGATTA gpus_per_node=4x\n"), Contains("/gpus_per_node"));
  CHECK_THROWS_WITH(read("#REGATTA gpus_per_node=0\n"), Contains("/gpus_per_node"));
  CHECK_THROWS_WITH(read("#REGATTA requeue=maybe\n"), Contains("/requeue"));
  CHECK_THROWS_WITH(read("#REGATTA mem=1G\n#REGATTA mem=2G\n"), Contains("site.sh:2: 'mem' stands there twice"));
  CHECK_THROWS_WITH(read("#REGATTA constraint=a b\n"), Contains("site.sh:1: 'a b'"));
  CHECK_THROWS_WITH(read("#REGATTA constraint=\n"), Contains("site.sh:1"));
  CHECK_THROWS_WITH(read("module load x\n"), Contains("no site profile"));
  CHECK_THROWS_WITH(read_site_profile("/no/such/site.sh"), "/no/such/site.sh: no such site profile");
}
