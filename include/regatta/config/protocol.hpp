// The protocol between a supervisor and the process that trains its trial: one JSON object a line over a socket pair.
//
// child -> supervisor:
//   hello      {protocol, build, device}            first line; a build mismatch fails the rank
//   progress   {step, steps, epoch, epochs, loss, losses, ms_per_step, eta_s, validated, to_validate}   also the
//              heartbeat; may be dropped. The first one is {step, start{...}}: what the attempt starts from
//   report     {step, epoch, metrics{name: number}, is_best} a validation
//   checkpoint {step, file, save_s}                 published
//   end        {status, step, message, result}      last line; status is an AttemptStatus name, result only for "ok"
// supervisor -> child:
//   start      {protocol, root, attempt, device, threads, until, group, keeps_checkpoints}   group only where several
//              train it
//   leave      {}                                   save at the next step, then end with "paused"
//   pause      {}                                   the same after the next validation
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"

namespace regatta {

inline constexpr int kProtocolVersion = 1;
inline constexpr std::size_t kLongestLine = std::size_t{1} << 20;

/// One end of the socket pair. Takes the descriptor over and makes it non-blocking.
class LineChannel {
 public:
  explicit LineChannel(int fd);
  LineChannel(LineChannel&& other) noexcept;
  LineChannel& operator=(LineChannel&&) = delete;
  ~LineChannel();

  int fd() const { return fd_; }

  /// Queues a message with "type" set; sends what the socket takes now. Dropped, with false, if over 4 MiB are waiting
  /// and the message may be dropped.
  bool send(const std::string& type, const Json& fields, bool may_drop = false);

  /// Sends what waits, for at most this long. @return true if nothing is left
  bool flush(double timeout_s);

  /// All whole messages that have arrived. @throws CommError for a line that is too long or not a JSON object with
  /// "type"
  std::vector<Json> receive();

  /// The other end is gone (and everything it sent has been received).
  bool closed() const { return closed_; }

 private:
  void push_out();

  int fd_;
  bool closed_ = false;
  std::string incoming_;
  std::string outgoing_;
};

/// A process's place in the group that trains a trial.
struct GroupPlace {
  std::string rendezvous;  ///< where the members meet, a name of this node
  int rank = 0;
  int size = 1;
  double deadline_s = 600.0;  ///< until all have met and the first step is done
  double patience_s = 60.0;   ///< then a member may keep the others waiting for this time, or for 20 steps
};

/// The fields of "start".
struct StartOrder {
  std::string root;
  int attempt = 1;
  std::string device = "auto";
  int threads = 0;
  std::int64_t until = 0;  ///< step of a validation after which it saves and ends with "paused"; 0: to its end
  GroupPlace group{};
  bool keeps_checkpoints = false;  ///< once the trial is done: `regatta train`, not a sweep
};

Json to_json(const StartOrder& order);

/// @throws CommError on another protocol version or missing fields
StartOrder start_order_from(const Json& message);

}  // namespace regatta
