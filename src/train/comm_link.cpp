#include "train/comm_link.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "regatta/base/process.hpp"
#include "train/comm.hpp"
#include "train/step_clock.hpp"

namespace regatta {

CommLink::CommLink(int fd, int member, int size) : fd_(fd), member_(member), size_(size), pid_(0) {
  ucred who{};
  socklen_t length = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0) {
    pid_ = who.pid;
  }
}

CommLink::CommLink(CommLink&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      member_(other.member_),
      size_(other.size_),
      pid_(other.pid_),
      patience_s_(other.patience_s_) {}

CommLink::CommLink(CommLink&& other, int member) noexcept : CommLink(std::move(other)) {
  member_ = member;
}

CommLink::~CommLink() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

std::string CommLink::text() const {
  return str("member ", member_, " of ", size_, " (process ", static_cast<std::int64_t>(pid_), ")");
}

void CommLink::wait_for(short events, double since_s) {
  const double left_s = since_s + patience_s_ - now_s();
  if (left_s <= 0.0) {
    const std::string state = process_state(pid_);
    throw MemberHangs(str(text(), " has kept the others waiting for ", duration_text(patience_s_),
                          state.empty() ? "" : str("; its process: ", state)));
  }
  pollfd wait{fd_, events, 0};
  ::poll(&wait, 1, static_cast<int>(std::ceil(1000.0 * std::min(left_s, 1.0))));
}

void CommLink::write_all(const void* bytes, std::size_t count) {
  const auto* at = static_cast<const char*>(bytes);
  double since_s = now_s();
  while (count > 0) {
    const ssize_t sent = ::send(fd_, at, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      at += sent;
      count -= static_cast<std::size_t>(sent);
      since_s = now_s();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_for(POLLOUT, since_s);
    } else {
      REGATTA_REQUIRE(errno == EINTR, MemberGone, text(), " is gone");
    }
  }
}

void CommLink::send(const MessageHead& head, const void* bytes) {
  write_all(&head, sizeof head);
  write_all(bytes, head.bytes);
}

void CommLink::receive(void* bytes, std::size_t count) {
  auto* at = static_cast<char*>(bytes);
  double since_s = now_s();
  while (count > 0) {
    const ssize_t got = ::recv(fd_, at, count, MSG_DONTWAIT);
    if (got > 0) {
      at += got;
      count -= static_cast<std::size_t>(got);
      since_s = now_s();
    } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      wait_for(POLLIN, since_s);
    } else {
      REGATTA_REQUIRE(got < 0 && errno == EINTR, MemberGone, text(), " is gone");
    }
  }
}

MessageHead CommLink::receive_head(std::uint64_t number, std::uint32_t kind) {
  MessageHead head;
  receive(&head, sizeof head);
  REGATTA_REQUIRE(head.number == number && head.kind == kind, BugError, text(), " is at operation ", head.number,
                  " of kind ", head.kind, ", this one at ", number, " of kind ", kind);
  return head;
}

}  // namespace regatta
