#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/config/protocol.hpp"
#include "support/catch.hpp"

using namespace regatta;

namespace {

struct Pair {
  int fds[2] = {-1, -1};
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0); }
};

}  // namespace

TEST_CASE("a start order says where a group meets, and nothing of a group where there is none") {
  StartOrder order{"/x", 3, "cuda:0", 2};
  CHECK_FALSE(to_json(order).contains("group"));
  CHECK(start_order_from(to_json(order)).group.size == 1);
  order.group = {"name", 1, 4, 30.5, 5.0};
  order.keeps_checkpoints = true;
  const StartOrder read = start_order_from(to_json(order));
  CHECK(read.group.rendezvous == "name");
  CHECK(read.group.rank == 1);
  CHECK(read.group.size == 4);
  CHECK(read.group.deadline_s == 30.5);
  CHECK(read.group.patience_s == 5.0);
  CHECK(read.keeps_checkpoints);
}

TEST_CASE("messages arrive whole and in order, also in pieces") {
  const Pair pair;
  LineChannel child(pair.fds[0]);
  LineChannel supervisor(pair.fds[1]);
  Json fields;
  fields["step"] = 7;
  CHECK(child.send("progress", fields));
  CHECK(::send(child.fd(), "{\"type\":", 8, 0) == 8);
  auto messages = supervisor.receive();
  REQUIRE(messages.size() == 1);
  CHECK(messages[0]["type"] == "progress");
  CHECK(messages[0]["step"] == 7);
  CHECK(::send(child.fd(), "\"end\"}\n", 7, 0) == 7);
  messages = supervisor.receive();
  REQUIRE(messages.size() == 1);
  CHECK(messages[0]["type"] == "end");
  CHECK_FALSE(supervisor.closed());
}

TEST_CASE("a closed end is seen after its last message") {
  const Pair pair;
  LineChannel supervisor(pair.fds[1]);
  {
    LineChannel child(pair.fds[0]);
    child.send("end", Json::object());
  }
  CHECK(supervisor.receive().size() == 1);
  CHECK(supervisor.closed());
  CHECK_FALSE(supervisor.send("leave", Json::object()));
}

TEST_CASE("a message that is no object with a type is an error of the protocol") {
  const Pair pair;
  LineChannel supervisor(pair.fds[1]);
  REQUIRE(::send(pair.fds[0], "hello\n", 6, 0) == 6);
  CHECK_THROWS_AS(supervisor.receive(), CommError);
  ::close(pair.fds[0]);
}

TEST_CASE("reports may be dropped when nobody reads, decisions wait") {
  const Pair pair;
  LineChannel child(pair.fds[0]);
  LineChannel supervisor(pair.fds[1]);
  Json fields;
  fields["text"] = std::string(100000, 'x');
  int sent = 0;
  while (child.send("progress", fields, true)) {
    REQUIRE(++sent < 1000);
  }
  CHECK(child.send("end", Json::object()));
  std::size_t received = 0;
  while (!child.flush(0.01)) {
    received += supervisor.receive().size();
  }
  received += supervisor.receive().size();
  CHECK(received == static_cast<std::size_t>(sent) + 1);
}

TEST_CASE("start orders travel whole, another protocol is refused") {
  const StartOrder order = start_order_from(to_json(StartOrder{"/x", 3, "cuda:0", 2}));
  CHECK(order.root == "/x");
  CHECK(order.attempt == 3);
  CHECK(order.device == "cuda:0");
  Json wrong = to_json(order);
  wrong["protocol"] = 99;
  CHECK_THROWS_WITH(start_order_from(wrong), "protocol: version 99, this build speaks 1");
  CHECK_THROWS_AS(start_order_from(Json::object()), CommError);
}
