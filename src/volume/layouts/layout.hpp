// How folders of scans are laid out: each layout is a file here and a row in layouts.def.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "regatta/volume/dataset.hpp"
#include "volume/layouts/scan_tree.hpp"

namespace regatta {

/// What is seen, as far as names and descriptions tell.
enum class Anatomy { kUnknown, kBrain, kLung, kHeart };

/// What a layout makes of a folder.
struct FoundSet {
  std::string name;
  Anatomy anatomy = Anatomy::kUnknown;
  bool is_ct = false;                   ///< the release says so
  std::vector<std::string> modalities;  ///< as in the data set file
  std::vector<SubjectEntry> subjects;   ///< paths relative to the tree; split "": to be drawn; groups are set
  bool one_session = false;             ///< a group's scans are of one scanning session: they share a space
  std::vector<PairEntry> pairs;         ///< split "": the one that both subjects are in. Empty: by a rule
  std::string atlas;                    ///< id of a subject of split atlas
  std::set<std::string> known;          ///< files of the layout that no subject uses, and that need no mention
  std::vector<std::string> notes;       ///< what was left out, or is to be looked at: one line each
};

struct LayoutRow {
  const char* name;
  const char* help;
  bool (*claims)(const ScanTree&);    ///< true if the folder looks like it
  FoundSet (*find)(const ScanTree&);  ///< @throws ConfigError or DataError for what contradicts itself
};

/// In the order in which they are tried: the first that claims a folder has it.
std::span<const LayoutRow> layout_rows();

/// @param name  of a row, or "" for the first that claims the folder
/// @throws ConfigError for another name; DataError if no layout finds a subject
const LayoutRow& choose_layout(const ScanTree& tree, const std::string& name);

/// Of words such as "NLST lung CT".
Anatomy anatomy_of_text(const std::string& text);

/// True for the word CT.
bool names_ct(const std::string& text);

/// Sets labels, mask and key-points of a subject by the folders beside imagesTr: labelsTr, masksTr, keypointsTr,
/// landmarksTr; what is set already stays. @param stem  of the files there
void add_twin_files(const ScanTree& tree, const std::string& image, const std::string& stem, SubjectEntry& subject);

/// Adds "WHAT: 5 (a, b, c, ...)" unless there are no names.
void note_names(FoundSet& found, const std::vector<std::string>& names, const std::string& what);

}  // namespace regatta
