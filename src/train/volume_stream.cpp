#include "train/volume_stream.hpp"

#include <algorithm>
#include <utility>

#include "regatta/base/error.hpp"

namespace regatta {

VolumeStream::VolumeStream(std::int64_t places, const c10::Device& device, Fill fill)
    : uploads_(device),
      fill_(std::move(fill)),
      subject_at_(static_cast<std::size_t>(places), -1),
      last_use_(static_cast<std::size_t>(places), 0),
      thread_([this] { run(); }) {}

VolumeStream::~VolumeStream() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

/// With the lock held.
void VolumeStream::want(const std::vector<std::int64_t>& subjects) {
  for (const std::int64_t subject : subjects) {
    if (!place_of_.contains(subject) && subject != coming_ &&
        std::find(wanted_.begin(), wanted_.end(), subject) == wanted_.end()) {
      wanted_.push_back(subject);
    }
  }
}

std::vector<std::int64_t> VolumeStream::take(const std::vector<std::int64_t>& subjects) {
  std::unique_lock lock(mutex_);
  uploads_.mark_used();
  ++calls_;
  in_use_ = {subjects.begin(), subjects.end()};
  want(subjects);
  changed_.notify_all();
  const auto all_there = [&] {
    return std::all_of(subjects.begin(), subjects.end(), [&](auto subject) { return place_of_.contains(subject); });
  };
  changed_.wait(lock, [&] { return error_ != nullptr || all_there(); });
  if (error_ != nullptr) {
    std::rethrow_exception(error_);
  }
  std::vector<std::int64_t> places;
  for (const std::int64_t subject : subjects) {
    places.push_back(place_of_.at(subject));
    last_use_[static_cast<std::size_t>(places.back())] = calls_;
  }
  return places;
}

void VolumeStream::prefetch(const std::vector<std::int64_t>& subjects) {
  {
    const std::lock_guard lock(mutex_);
    next_ = {subjects.begin(), subjects.end()};
    want(subjects);
  }
  changed_.notify_all();
}

/// A free place, or that of the subject that was not used for longest and that neither this step nor the next needs.
/// -1: there is none until a step ends. With the lock held.
std::int64_t VolumeStream::make_room() {
  std::int64_t best = -1;
  for (std::size_t place = 0; place < subject_at_.size(); ++place) {
    const std::int64_t subject = subject_at_[place];
    if (subject == -1) {
      return static_cast<std::int64_t>(place);
    }
    const bool needed = in_use_.contains(subject) || next_.contains(subject);
    if (!needed && (best == -1 || last_use_[place] < last_use_[static_cast<std::size_t>(best)])) {
      best = static_cast<std::int64_t>(place);
    }
  }
  return best;
}

void VolumeStream::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    std::int64_t place = -1;
    changed_.wait(lock, [&] { return ends_ || (!wanted_.empty() && (place = make_room()) != -1); });
    if (ends_) {
      return;
    }
    const std::int64_t subject = coming_ = wanted_.front();
    wanted_.pop_front();
    if (const std::int64_t old = std::exchange(subject_at_[static_cast<std::size_t>(place)], subject); old != -1) {
      place_of_.erase(old);
    }
    last_use_[static_cast<std::size_t>(place)] = calls_;
    uploads_.wait_for_mark();
    lock.unlock();
    std::exception_ptr error;
    try {
      fill_(subject, place, uploads_);
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    lock.lock();
    if (error != nullptr) {
      error_ = error;
      changed_.notify_all();
      return;
    }
    place_of_[subject] = place;
    coming_ = -1;
    changed_.notify_all();
  }
}

}  // namespace regatta
