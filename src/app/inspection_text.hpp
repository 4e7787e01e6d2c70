// What `regatta inspect` prints, as text.
#pragma once

#include <string>

#include "regatta/volume/inspection.hpp"

namespace regatta::app {

/// Name, grid, fingerprint, counts: one line each.
std::string header_text(const Archive& archive);

/// Label ids with the number of subjects that have each; empty without labels.
std::string labels_text(const Archive& archive, const Inspection& inspection);

/// The table, one line a subject.
std::string subjects_text(const Archive& archive, const Inspection& inspection);

std::string pairs_text(const Archive& archive);

/// "look at these": one line a finding.
std::string findings_text(const Inspection& inspection);

}  // namespace regatta::app
