// One connection between two members of a group: whole messages over a Unix socket, each with a deadline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/types.h>

namespace regatta {

/// What stands in front of each message, so that members at different operations are noticed.
struct MessageHead {
  std::uint64_t number = 0;  ///< of the operation, from 0
  std::uint32_t kind = 0;
  std::uint32_t reserved = 0;
  std::uint64_t bytes = 0;
};

class CommLink {
 public:
  /// @param fd      taken over
  /// @param member  rank of the other end
  /// @param size    of the group
  CommLink(int fd, int member, int size);
  CommLink(CommLink&& other) noexcept;

  /// The same connection once it is known who is at the other end.
  CommLink(CommLink&& other, int member) noexcept;
  CommLink& operator=(CommLink&&) = delete;
  ~CommLink();

  int member() const { return member_; }

  /// "member 1 of 2 (process 4711)"
  std::string text() const;

  void set_patience_s(double seconds) { patience_s_ = seconds; }

  /// @throws MemberGone, MemberHangs
  void send(const MessageHead& head, const void* bytes);

  /// The head of the next message, which must be of this operation. @throws MemberGone, MemberHangs, BugError
  MessageHead receive_head(std::uint64_t number, std::uint32_t kind);

  /// @throws MemberGone, MemberHangs
  void receive(void* bytes, std::size_t count);

 private:
  void write_all(const void* bytes, std::size_t count);
  void wait_for(short events, double since_s);

  int fd_;
  int member_;
  int size_;
  pid_t pid_;
  double patience_s_ = 60.0;
};

}  // namespace regatta
