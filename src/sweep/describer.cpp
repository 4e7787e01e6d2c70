// Asks another program what it knows about recipes: posix_spawn, a socket for its stdin, a pipe for its stdout.
#include "regatta/sweep/describer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

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

template <class T>
void read_member(const Json& value, const char* name, const std::string& source, bool fits, T& field) {
  REGATTA_REQUIRE(fits, DataError, source, ": '", name, "' is missing or of another type");
  field = value.at(name).get<T>();
}

}  // namespace

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

Description description_from_json(const Json& value, const std::string& source) {
  REGATTA_REQUIRE(value.is_object(), DataError, source, ": expected an object, got ", type_name(value));
  const auto find = [&value](const char* name) -> const Json& {
    static const Json nothing;
    const auto found = value.find(name);
    return found == value.end() ? nothing : *found;
  };
  Description answer;
  if (value.contains("error")) {
    read_member(value, "error", source, find("error").is_string(), answer.error);
    if (value.contains("code")) {
      read_member(value, "code", source, find("code").is_number_integer(), answer.error_code);
    }
    return answer;
  }
  read_member(value, "resolved", source, find("resolved").is_object(), answer.resolved);
  read_member(value, "identity", source, find("identity").is_object(), answer.identity);
  read_member(value, "hash", source, find("hash").is_string(), answer.hash);
  read_member(value, "parameters", source, find("parameters").is_number_integer(), answer.parameters);
  read_member(value, "mul_adds", source, find("mul_adds").is_number(), answer.mul_adds);
  read_member(value, "size_multiple", source, find("size_multiple").is_number_integer(), answer.size_multiple);
  read_member(value, "forecast_bytes", source, find("forecast_bytes").is_number(), answer.forecast_bytes);
  read_member(value, "steps", source, find("steps").is_number_integer(), answer.steps);
  read_member(value, "data", source, find("data").is_object(), answer.data);
  REGATTA_REQUIRE(find("metrics").is_object(), DataError, source, ": 'metrics' is missing or of another type");
  for (const auto& metric : find("metrics").items()) {
    const bool fits = metric.value() == "maximise" || metric.value() == "minimise";
    REGATTA_REQUIRE(fits, DataError, source, ": metrics: '", metric.key(), "': expected maximise or minimise");
    answer.metrics[metric.key()] = metric.value().get<std::string>();
  }
  return answer;
}

Json to_json(const Description& description) {
  if (!description.error.empty()) {
    return {{"error", description.error}, {"code", description.error_code}};
  }
  Json metrics = Json::object();
  for (const auto& [name, direction] : description.metrics) {
    metrics[name] = direction;
  }
  return {{"resolved", description.resolved},
          {"identity", description.identity},
          {"hash", description.hash},
          {"parameters", description.parameters},
          {"mul_adds", description.mul_adds},
          {"size_multiple", description.size_multiple},
          {"forecast_bytes", description.forecast_bytes},
          {"steps", description.steps},
          {"metrics", metrics},
          {"data", description.data}};
}

std::vector<Description> ProgramDescriber::describe(const std::vector<Json>& recipes) {
  const std::string source = str(program_.filename().string(), " describe");
  Json question = Json::object();
  question["recipes"] = recipes;
  const Json answer = parse_json(run_program_for_text({program_.string(), "describe"}, dump_line(question)), source);
  const Json* list = answer.is_object() ? find_pointer(answer, "/recipes") : nullptr;
  REGATTA_REQUIRE(list != nullptr && list->is_array() && list->size() == recipes.size(), DataError, source,
                  ": expected {\"recipes\": [", recipes.size(), " answers]}");
  std::vector<Description> descriptions;
  for (std::size_t i = 0; i < list->size(); ++i) {
    descriptions.push_back(description_from_json((*list)[i], str(source, ": recipe ", i)));
  }
  return descriptions;
}

}  // namespace regatta
