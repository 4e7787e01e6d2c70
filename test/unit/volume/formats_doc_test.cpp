// docs/formats.md names everything that the data set file may hold and that an archive holds.
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/dataset.hpp"
#include "support/catch.hpp"
#include "volume/archive/archive_layout.hpp"

using namespace regatta;

TEST_CASE("docs/formats.md names every option of the data set file and every member of an archive") {
  const std::string page = read_file(std::filesystem::path(REGATTA_SOURCE_DIR) / "docs" / "formats.md");
  const auto named = [&](const std::string& name) {
    INFO(name);
    CHECK(page.find(str('`', name, '`')) != std::string::npos);
  };
  for (const OptionRow& row : option_rows<DatasetOptions>()) {
    named(row.pointer.substr(1));
  }
  for (const OptionRow& row : option_rows<SubjectEntry>()) {
    named(row.pointer.substr(1));
  }
  for (const OptionRow& row : option_rows<PairEntry>()) {
    named(row.pointer.substr(1));
  }
  for (const char* name :
       {layout::kFormat, layout::kSchemaName, layout::kName, layout::kMadeBy, layout::kSpacing, layout::kOrientation,
        layout::kImageScale, layout::kPreprocessing, layout::kFingerprint, layout::kTablesChecksum, layout::kImages,
        layout::kModalities, layout::kLabels, layout::kLabelIds, layout::kMasks, layout::kKeypoints}) {
    named(name);
  }
  for (const char* name :
       {layout::kId, layout::kSplit, layout::kGroup, layout::kFrame, layout::kSourceKey, layout::kAtlasToSubject,
        layout::kAffineNcc, layout::kKeypointEnds, layout::kHasMask, layout::kMaskChecksum, layout::kImageSource,
        layout::kAffine, layout::kOriginalAffine, layout::kOriginalShape, layout::kIntensity, layout::kHasLabels,
        layout::kImageChecksum, layout::kLabelChecksum}) {
    named(str(layout::kSubjects, '/', name));
  }
  for (const char* name : {layout::kSplit, layout::kMoving, layout::kFixed, layout::kPairKeypointEnds,
                           layout::kMovingKeypoints, layout::kFixedKeypoints}) {
    named(str(layout::kPairs, '/', name));
  }
}
