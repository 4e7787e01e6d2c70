// How the processes that train one trial together speak with each other. All members call the same operations in the
// same order; texts and sums come out the same in all of them, bit for bit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/base/error.hpp"
#include "regatta/config/protocol.hpp"

namespace regatta {

/// A member may be silent for this number of steps, if that is longer than the group's patience.
inline constexpr double kStepsSilent = 20.0;

/// Another member of the group has ended, so that this one cannot go on.
class MemberGone : public Error {
 public:
  explicit MemberGone(const std::string& text) : Error(ExitCode::kComm, text) {}
};

/// Another member of the group gives no sign of life.
class MemberHangs : public Error {
 public:
  explicit MemberHangs(const std::string& text) : Error(ExitCode::kComm, text) {}
};

/// @throws MemberGone, MemberHangs from every operation; BugError if members are not at the same operation
class Comm {
 public:
  virtual ~Comm() = default;

  virtual int rank() const = 0;  ///< from 0
  virtual int size() const = 0;
  bool is_first() const { return rank() == 0; }
  bool is_alone() const { return size() == 1; }

  /// Member 0's text.
  virtual std::string broadcast(std::string text) = 0;

  /// Every member's text, by rank.
  virtual std::vector<std::string> gather(std::string text) = 0;

  /// Each tensor becomes the sum of that of all members. Does not wait for a GPU.
  /// @param tensors  contiguous, float32, the same sizes in all members
  virtual void all_reduce_(const std::vector<at::Tensor>& tensors) = 0;

  /// Returns once all members have called it.
  void barrier() { gather({}); }

  /// From here on a member may keep the others waiting for this time.
  virtual void set_patience_s(double) {}
};

/// A group of one: nothing is sent, nothing changes.
std::unique_ptr<Comm> make_self_comm();

/// A name that cannot be guessed.
std::string new_rendezvous();

/// Members of one node over Unix sockets: texts, and sums of tensors on the CPU, added in the order of the ranks.
/// Returns once all have met. @throws MemberHangs naming the members that are missing at the deadline
std::unique_ptr<Comm> meet_over_sockets(const GroupPlace& place);

/// The same with sums of tensors on a GPU by NCCL; texts go over the sockets. One sum is made before it returns: NCCL
/// connects then. @throws NotBuilt without NCCL; CommError if NCCL refuses or is another version than at build time
std::unique_ptr<Comm> meet_over_nccl(const GroupPlace& place, const at::Device& device);

/// "NCCL 2.28.9" or why it is left out.
std::string nccl_text();

}  // namespace regatta
