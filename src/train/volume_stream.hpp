// Volumes that take turns in a few places on the device. A thread brings what the next step needs while a step runs;
// what has not been used for longest makes room.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "regatta/nn/device.hpp"

namespace regatta {

class VolumeStream {
 public:
  /// Brings a subject to a place; called by the stream's own thread, one call at a time.
  using Fill = std::function<void(std::int64_t subject, std::int64_t place, UploadStream& uploads)>;

  /// @param places  at least as many as two steps need
  VolumeStream(std::int64_t places, const c10::Device& device, Fill fill);
  ~VolumeStream();
  VolumeStream(const VolumeStream&) = delete;
  VolumeStream& operator=(const VolumeStream&) = delete;

  /// Where the subjects are; waits for those that are not there yet. They stay until the next call.
  /// @throws what `fill` threw
  std::vector<std::int64_t> take(const std::vector<std::int64_t>& subjects);

  /// What the next `take` will ask for.
  void prefetch(const std::vector<std::int64_t>& subjects);

 private:
  void run();
  void want(const std::vector<std::int64_t>& subjects);
  std::int64_t make_room();

  UploadStream uploads_;
  Fill fill_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::int64_t> wanted_;
  std::int64_t coming_ = -1;                       ///< the subject that is being brought
  std::map<std::int64_t, std::int64_t> place_of_;  ///< of subjects that are there
  std::vector<std::int64_t> subject_at_;           ///< -1: none
  std::vector<std::int64_t> last_use_;             ///< of each place, by the number of the call
  std::set<std::int64_t> in_use_;                  ///< subjects of the last `take`
  std::set<std::int64_t> next_;                    ///< subjects of the last `prefetch`
  std::int64_t calls_ = 0;
  std::exception_ptr error_;
  bool ends_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace regatta
