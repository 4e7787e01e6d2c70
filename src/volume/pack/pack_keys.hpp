// By what a subject is known again: hashes of its files and of what is done to them.
#pragma once

#include <string>

#include "volume/pack/packed_subject.hpp"

namespace regatta {

/// What tells whether a subject was packed before.
struct SourceKey {
  std::string key;    ///< of all its files and of what is done to them
  std::string image;  ///< of its images alone
};

/// @param index       of the data set's subjects
/// @param aligned_to  what tells the images that it is aligned to, "" for none @throws DataError for a file that cannot
/// be read
SourceKey key_of(const PackJob& job, std::size_t index, const std::string& aligned_to);

}  // namespace regatta
