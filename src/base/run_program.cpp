// Finding and running another program without a shell: posix_spawn, a socket for its stdin, a pipe for its stdout.
#include "regatta/base/run_program.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

/// Owns a descriptor.
struct Descriptor {
  int fd = -1;

  Descriptor() = default;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  void close() {
    if (fd >= 0) {
      ::close(fd);
      fd = -1;
    }
  }
};

struct Pipes {
  Descriptor to_child;  ///< a socket, so that a reader that has gone gives an error and no signal
  Descriptor child_stdin;
  Descriptor from_child;
  Descriptor child_stdout;
};

void open_pipes(Pipes& pipes) {
  std::array<int, 2> ends{};
  REGATTA_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, DataError,
                  "cannot make a socket pair: ", std::strerror(errno));
  pipes.to_child.fd = ends[0];
  pipes.child_stdin.fd = ends[1];
  REGATTA_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0, DataError, "cannot make a pipe: ", std::strerror(errno));
  pipes.from_child.fd = ends[0];
  pipes.child_stdout.fd = ends[1];
}

pid_t spawn(const std::vector<std::string>& arguments, const Pipes& pipes) {
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv;
  for (std::string& argument : copies) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipes.child_stdin.fd, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipes.child_stdout.fd, STDOUT_FILENO);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  REGATTA_REQUIRE(error == 0, DataError, arguments[0], ": cannot start: ", std::strerror(error));
  return pid;
}

/// Feeds `input` and collects the output at the same time, until the child closes its stdout.
std::string converse(Pipes& pipes, std::string_view input) {
  std::string output;
  std::array<char, 1 << 16> block{};
  while (true) {
    if (input.empty()) {
      pipes.to_child.close();
    }
    std::array<pollfd, 2> waiting{pollfd{pipes.from_child.fd, POLLIN, 0}, pollfd{pipes.to_child.fd, POLLOUT, 0}};
    if (::poll(waiting.data(), pipes.to_child.fd >= 0 ? 2 : 1, -1) < 0 && errno != EINTR) {
      throw DataError(str("poll: ", std::strerror(errno)));
    }
    if (pipes.to_child.fd >= 0 && waiting[1].revents != 0) {
      const ssize_t sent = ::send(pipes.to_child.fd, input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        input.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EINTR && errno != EAGAIN) {
        input = {};  // the child reads no more; its exit code says why
      }
    }
    if (waiting[0].revents != 0) {
      const ssize_t got = ::read(pipes.from_child.fd, block.data(), block.size());
      if (got == 0 || (got < 0 && errno != EINTR)) {
        return output;
      }
      output.append(block.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
  }
}

void wait_for(pid_t pid, const std::string& program) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    REGATTA_REQUIRE(errno == EINTR, DataError, program, ": cannot wait for it: ", std::strerror(errno));
  }
  if (WIFSIGNALED(status)) {
    throw Error(ExitCode::kFailure, str(program, ": ended by signal ", WTERMSIG(status)));
  }
  const int code = WEXITSTATUS(status);
  if (code != 0) {
    throw Error(static_cast<ExitCode>(code),
                str(program, ": ended with exit code ", code, "; its own message is above"));
  }
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path, ':')) {
    const std::filesystem::path file = std::filesystem::path(folder) / name;
    std::error_code error;
    if (!folder.empty() && std::filesystem::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0) {
      return file.string();
    }
  }
  return std::nullopt;
}

std::string run_program_for_text(const std::vector<std::string>& arguments, const std::string& input) {
  REGATTA_REQUIRE(!arguments.empty(), BugError, "no program to run");
  REGATTA_REQUIRE(::access(arguments[0].c_str(), X_OK) == 0, NotBuilt, arguments[0],
                  ": not there; this command needs it (a build without LibTorch leaves it out)");
  Pipes pipes;
  open_pipes(pipes);
  const pid_t pid = spawn(arguments, pipes);
  pipes.child_stdin.close();
  pipes.child_stdout.close();
  const std::string output = converse(pipes, input);
  wait_for(pid, arguments[0]);
  return output;
}

}  // namespace regatta
