// What a layout finds in a made-up folder, as text that tests compare.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/base/text.hpp"
#include "scan_folder.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta::test {

struct Found {
  std::string layout;
  FoundSet set;
};

inline Found find_in(const ScanFolder& folder, const std::string& layout = "") {
  const ScanTree tree = ScanTree::read(folder.path());
  const LayoutRow& row = choose_layout(tree, layout);
  return {row.name, row.find(tree)};
}

/// "id image labels mask keypoints group split", '-' for what is empty.
inline std::string row_of(const SubjectEntry& s) {
  std::vector<std::string> cells;
  for (const std::string& cell :
       {s.id, s.image.empty() ? dump_line(s.images) : s.image, s.labels, s.mask, s.keypoints, s.group, s.split}) {
    cells.push_back(cell.empty() ? "-" : cell);
  }
  return join(cells, " ");
}

inline std::string pairs_of(const FoundSet& set) {
  std::vector<std::string> out;
  for (const PairEntry& pair : set.pairs) {
    out.push_back(str(pair.split.empty() ? "-" : pair.split, ':', pair.moving, '>', pair.fixed));
  }
  return join(out, " ");
}

}  // namespace regatta::test
