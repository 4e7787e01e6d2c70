// The rank's side of the spawner. The spawner process itself is in spawner_process.cpp.
#include "launch/spawner.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/spawner_process.hpp"
#include "launch/spawner_socket.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"

namespace regatta {
namespace {

// A loaded node may take seconds to fork; a minute means that the spawner is stopped or stuck.
constexpr int kStartTimeoutMs = 60000;

}  // namespace

Spawner::Spawner() {
  int ends[2] = {-1, -1};
  REGATTA_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, CommError,
                  "spawner: socketpair: ", std::strerror(errno));
  const pid_t rank = ::getpid();
  pid_ = ::fork();
  const int fork_error = errno;
  if (pid_ == 0) {
    ::close(ends[0]);
    run_spawner_process(ends[1], rank);
  }
  ::close(ends[1]);
  fd_ = ends[0];
  if (pid_ < 0) {
    ::close(fd_);
    throw CommError(str("spawner: fork: ", std::strerror(fork_error)));
  }
}

Spawner::~Spawner() {
  ::close(fd_);  // end of file ends the spawner; its children are killed by its death
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::string Spawner::receive(int timeout_ms) {
  pollfd wait{fd_, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&wait, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) {
    return {};
  }
  Packet packet = receive_packet(fd_);
  REGATTA_REQUIRE(!packet.text.empty(), CommError, "spawner: process ", static_cast<std::int64_t>(pid_), " is gone");
  return std::move(packet.text);
}

void Spawner::take(const std::string& message) {
  const Json reply = parse_json(message, "spawner");
  const std::string type = reply.at("type");
  if (type == "started") {
    started_ = reply.at("pid").get<pid_t>();
    start_error_ = reply.at("error").get<std::string>();
  } else {
    exits_.push_back({reply.at("pid").get<pid_t>(), reply.at("code").get<int>(), reply.at("signal").get<int>()});
  }
}

pid_t Spawner::start(const SpawnOrder& order, int channel) {
  Json request;
  request["type"] = "start";
  request["argv"] = order.argv;
  request["environment"] = order.environment;
  request["log"] = order.log;
  request["cpus"] = order.cpus;
  REGATTA_REQUIRE(send_packet(fd_, dump_line(request), channel), CommError, "spawner: process ",
                  static_cast<std::int64_t>(pid_), " is gone");
  started_ = 0;
  while (started_ == 0) {
    const std::string message = receive(kStartTimeoutMs);
    REGATTA_REQUIRE(!message.empty(), CommError, "spawner: no answer within ", kStartTimeoutMs / 1000, " s");
    take(message);
  }
  REGATTA_REQUIRE(started_ > 0, CommError, order.argv.front(), ": cannot start: ", start_error_);
  return started_;
}

void Spawner::kill(pid_t child, int signal) {
  Json request;
  request["type"] = "kill";
  request["pid"] = child;
  request["signal"] = signal;
  send_packet(fd_, dump_line(request));
}

std::vector<ChildExit> Spawner::exits() {
  for (std::string message = receive(0); !message.empty(); message = receive(0)) {
    take(message);
  }
  return std::exchange(exits_, {});
}

}  // namespace regatta
