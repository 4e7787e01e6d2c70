// #SBATCH lines changed, the rest of a script kept; times as Slurm writes them.
#include "launch/slurm/batch_script.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("the scripts are those of the folder slurm, and a script not changed comes out as it went in") {
  const std::filesystem::path folder = std::filesystem::path(REGATTA_SOURCE_DIR) / "slurm";
  CHECK(read_file(folder / "sweep.sbatch") == kSweepScript);
  CHECK(read_file(folder / "collect.sbatch") == kCollectScript);
  CHECK(BatchScript(kSweepScript).text() == kSweepScript);
  CHECK(BatchScript(kCollectScript).text() == kCollectScript);
}

TEST_CASE("options are replaced where they stand, added at the end, taken away") {
  BatchScript script("#!/bin/bash\n# head\n#SBATCH --nodes=1\n#SBATCH --requeue\n#SBATCH --time=1:00\nset -eu\nrun\n");
  script.set("--nodes", "3");
  script.remove("--requeue");
  script.set("--no-requeue");
  script.set("--array", "0-2");
  CHECK(script.value("--nodes") == "3");
  CHECK(script.value("--requeue").empty());
  CHECK(script.text() ==
        "#!/bin/bash\n# head\n#SBATCH --nodes=3\n#SBATCH --time=1:00\n#SBATCH --no-requeue\n"
        "#SBATCH --array=0-2\nset -eu\nrun\n");
}

TEST_CASE("no value can begin a new line or a second option") {
  BatchScript script("#SBATCH --nodes=1\n");
  for (const char* value : {"a\n#SBATCH --uid=0", "a b", "$(id)", "`id`", "a;b", "a'b", "a\"b", "a\\b", "a#b", "a\tb",
                            "\x7f", "a\r", "gr\xc3\xbcn", "../a", "a&b", "a|b", "a>b", "*", "a/b"}) {
    CAPTURE(value);
    CHECK_THROWS_AS(script.set("--account", value), ConfigError);
  }
  CHECK(script.text() == "#SBATCH --nodes=1\n");
}
