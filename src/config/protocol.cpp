#include "regatta/config/protocol.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::size_t kMostWaiting = std::size_t{4} << 20;

Json parse_message(const std::string& line) {
  try {
    Json message = parse_json(line, "message");
    if (message.is_object() && message.contains("type") && message["type"].is_string()) {
      return message;
    }
  } catch (const ConfigError& error) {
    throw CommError(str("protocol: ", error.what()));
  }
  throw CommError(str("protocol: a message without type: ", one_line(line, 80)));
}

}  // namespace

LineChannel::LineChannel(int fd) : fd_(fd) {
  const int flags = ::fcntl(fd_, F_GETFL);
  REGATTA_REQUIRE(flags >= 0 && ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK) == 0, CommError, "protocol: descriptor ", fd_,
                  ": ", std::strerror(errno));
}

LineChannel::LineChannel(LineChannel&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      closed_(other.closed_),
      incoming_(std::move(other.incoming_)),
      outgoing_(std::move(other.outgoing_)) {}

LineChannel::~LineChannel() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

bool LineChannel::send(const std::string& type, const Json& fields, bool may_drop) {
  if (closed_ || (may_drop && outgoing_.size() > kMostWaiting)) {
    return false;
  }
  Json message;
  message["type"] = type;
  message.update(fields);
  std::string line = dump_line(message);
  REGATTA_REQUIRE(line.size() < kLongestLine, CommError, "protocol: message '", type, "' of ", line.size(),
                  " bytes, allowed ", kLongestLine);
  outgoing_ += line;
  outgoing_ += '\n';
  push_out();
  return true;
}

void LineChannel::push_out() {
  while (!outgoing_.empty()) {
    const ssize_t sent = ::send(fd_, outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      outgoing_.erase(0, static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      outgoing_.clear();  // the other end is gone; receive() will say so
      return;
    }
  }
}

bool LineChannel::flush(double timeout_s) {
  const double end = system_clock().monotonic_s() + timeout_s;
  push_out();
  while (!outgoing_.empty() && system_clock().monotonic_s() < end) {
    pollfd wait{fd_, POLLOUT, 0};
    ::poll(&wait, 1, 50);
    push_out();
  }
  return outgoing_.empty();
}

std::vector<Json> LineChannel::receive() {
  char buffer[1 << 16];
  while (!closed_) {
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got > 0) {
      incoming_.append(buffer, static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      closed_ = true;
    } else if (errno != EINTR) {
      break;
    }
  }
  std::vector<Json> messages;
  std::size_t begin = 0;
  for (std::size_t end = incoming_.find('\n'); end != std::string::npos; end = incoming_.find('\n', begin)) {
    messages.push_back(parse_message(incoming_.substr(begin, end - begin)));
    begin = end + 1;
  }
  incoming_.erase(0, begin);
  REGATTA_REQUIRE(incoming_.size() < kLongestLine, CommError, "protocol: a line of over ", kLongestLine, " bytes");
  return messages;
}

Json to_json(const StartOrder& order) {
  Json fields;
  fields["protocol"] = kProtocolVersion;
  fields["root"] = order.root;
  fields["attempt"] = order.attempt;
  fields["device"] = order.device;
  fields["threads"] = order.threads;
  fields["until"] = order.until;
  if (order.group.size > 1) {
    fields["group"] = {{"rendezvous", order.group.rendezvous},
                       {"rank", order.group.rank},
                       {"size", order.group.size},
                       {"deadline_s", order.group.deadline_s},
                       {"patience_s", order.group.patience_s}};
  }
  if (order.keeps_checkpoints) {
    fields["keeps_checkpoints"] = true;
  }
  return fields;
}

StartOrder start_order_from(const Json& message) {
  try {
    const int version = message.at("protocol").get<int>();
    REGATTA_REQUIRE(version == kProtocolVersion, CommError, "protocol: version ", version, ", this build speaks ",
                    kProtocolVersion);
    StartOrder order;
    order.root = message.at("root").get<std::string>();
    order.attempt = message.at("attempt").get<int>();
    order.device = message.at("device").get<std::string>();
    order.threads = message.at("threads").get<int>();
    order.until = message.at("until").get<std::int64_t>();
    if (message.contains("group")) {
      const Json& group = message["group"];
      order.group = {group.at("rendezvous").get<std::string>(), group.at("rank").get<int>(),
                     group.at("size").get<int>(), group.at("deadline_s").get<double>(),
                     group.at("patience_s").get<double>()};
    }
    order.keeps_checkpoints = message.value("keeps_checkpoints", false);
    return order;
  } catch (const Json::exception& error) {
    throw CommError(str("protocol: bad start order: ", one_line(error.what())));
  }
}

}  // namespace regatta
