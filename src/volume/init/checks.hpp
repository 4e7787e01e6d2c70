// What a person should look at before packing: files that belong to nothing, missing and unequal labels, duplicates.
#pragma once

#include "volume/init/survey.hpp"

namespace regatta {

/// Adds its lines to found.notes. Reads list files and small parts of files of equal size.
void note_oddities(const ScanTree& tree, FoundSet& found, const Survey& survey);

}  // namespace regatta
