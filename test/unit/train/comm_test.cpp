// Members of a group over sockets, as threads of one process: texts, sums, deadlines, members that end or hang.
#include <csignal>
#include <exception>
#include <functional>
#include <thread>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "train/comm.hpp"

namespace regatta {
namespace {

/// Runs a function as each member of a group. @return what each of them threw, empty: nothing
std::vector<std::string> as_group(int size, const std::function<void(Comm&)>& work) {
  const std::string rendezvous = new_rendezvous();
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  {
    std::vector<std::jthread> members;
    for (int rank = 0; rank < size; ++rank) {
      members.emplace_back([&, rank] {
        try {
          const auto comm = meet_over_sockets({rendezvous, rank, size, 20.0, 20.0});
          work(*comm);
        } catch (const std::exception& error) {
          errors[static_cast<std::size_t>(rank)] = error.what();
        }
      });
    }
  }
  return errors;
}

const std::vector<std::string> kNoErrors4(4);

TEST_CASE("member 0's text reaches all members, and all texts reach all, by rank") {
  std::vector<std::string> heard(4);
  const auto errors = as_group(4, [&](Comm& comm) {
    const std::string said = comm.broadcast(comm.is_first() ? "from the first" : "not heard");
    const auto all = comm.gather(std::string(static_cast<std::size_t>(comm.rank()) * 100000, 'x'));
    REQUIRE(all.size() == 4);
    std::string text = said;
    for (const std::string& one : all) {
      text += str(" ", one.size());
    }
    heard[static_cast<std::size_t>(comm.rank())] = text;
  });
  CHECK(errors == kNoErrors4);
  CHECK(heard == std::vector<std::string>(4, "from the first 0 100000 200000 300000"));
}

TEST_CASE("a sum over the members adds in the order of their ranks and has the same bits in all of them") {
  // 1e8 + 1 - 1e8 + 1 is 1 in float32 from left to right, 2 in exact arithmetic.
  const std::vector<float> terms = {1e8F, 1.0F, -1e8F, 1.0F};
  std::vector<float> sums(4);
  std::vector<float> last(4);
  const auto errors = as_group(4, [&](Comm& comm) {
    const auto rank = static_cast<std::size_t>(comm.rank());
    const at::Tensor first = at::full({3}, terms[rank]);
    const at::Tensor second = at::arange(500000, at::kFloat).mul(static_cast<double>(rank));
    comm.all_reduce_({first, second});
    sums[rank] = first[2].item<float>();
    last[rank] = second[499999].item<float>();
  });
  CHECK(errors == kNoErrors4);
  CHECK(sums == std::vector<float>(4, 1.0F));
  CHECK(last == std::vector<float>(4, 6.0F * 499999.0F));
}

TEST_CASE("a group of one sends nothing and changes nothing") {
  const auto comm = make_self_comm();
  const at::Tensor values = at::full({2}, 3.0F);
  comm->all_reduce_({values});
  CHECK(values[0].item<float>() == 3.0F);
  CHECK(comm->broadcast("text") == "text");
  CHECK(comm->gather("own") == std::vector<std::string>{"own"});
  CHECK(comm->is_alone());
}

TEST_CASE("members that do not come to the rendezvous in time are named") {
  CHECK_THROWS_WITH(meet_over_sockets({new_rendezvous(), 0, 3, 0.3, 1.0}),
                    "group: member 1 of 3, member 2 of 3 did not come to the rendezvous in time");
  CHECK_THROWS_WITH(meet_over_sockets({new_rendezvous(), 1, 3, 0.3, 1.0}),
                    "group: member 0 of 3 did not come to the rendezvous in time");
}

TEST_CASE("a member of another group's size is refused") {
  const std::string rendezvous = new_rendezvous();
  std::string error;
  {
    const std::jthread other([&] {
      try {
        meet_over_sockets({rendezvous, 2, 3, 5.0, 5.0});
      } catch (const MemberGone&) {
      }
    });
    try {
      meet_over_sockets({rendezvous, 0, 2, 5.0, 5.0});
    } catch (const CommError& caught) {
      error = caught.what();
    }
  }
  CHECK(error == "group: member 2 of 3 came to a group of 2");
}

TEST_CASE("members that are not at the same operation are noticed") {
  const auto errors = as_group(2, [](Comm& comm) {
    if (comm.is_first()) {
      comm.gather("text");
    } else {
      comm.all_reduce_({at::full({2}, 1.0F)});
    }
  });
  CHECK(errors[0].find("is at operation 1 of kind 3, this one at 1 of kind 2") != std::string::npos);
  CHECK(errors[1].find("is gone") != std::string::npos);
}

/// A member in a process of its own, which does what it is given and then ends.
class MemberProcess {
 public:
  explicit MemberProcess(const std::function<void()>& work) : pid_(::fork()) {
    if (pid_ == 0) {
      try {
        work();
      } catch (const std::exception&) {
      }
      ::_exit(0);
    }
  }
  ~MemberProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  MemberProcess(const MemberProcess&) = delete;
  MemberProcess& operator=(const MemberProcess&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST_CASE("a member that ends is noticed by the others at once") {
  const std::string rendezvous = new_rendezvous();
  const MemberProcess other([&] {
    const auto comm = meet_over_sockets({rendezvous, 1, 2, 20.0, 20.0});
    comm->broadcast("");
    ::raise(SIGKILL);
  });
  const auto comm = meet_over_sockets({rendezvous, 0, 2, 20.0, 20.0});
  comm->broadcast("go");
  CHECK_THROWS_WITH(comm->gather(""),
                    str("member 1 of 2 (process ", static_cast<std::int64_t>(other.pid()), ") is gone"));
}

TEST_CASE("a member that is stopped is named with its state once the patience of the others has ended") {
  const std::string rendezvous = new_rendezvous();
  const MemberProcess other([&] {
    const auto comm = meet_over_sockets({rendezvous, 1, 2, 20.0, 20.0});
    comm->broadcast("");
    ::raise(SIGSTOP);
  });
  const auto comm = meet_over_sockets({rendezvous, 0, 2, 20.0, 20.0});
  comm->set_patience_s(0.5);
  comm->broadcast("go");
  int status = 0;
  REQUIRE(::waitpid(other.pid(), &status, WUNTRACED) == other.pid());
  CHECK_THROWS_WITH(comm->gather(""), str("member 1 of 2 (process ", static_cast<std::int64_t>(other.pid()),
                                          ") has kept the others waiting for 0.5 s; its process: T (stopped)"));
}

TEST_CASE("a build says which NCCL it has, or refuses groups of GPUs") {
  if (nccl_text().starts_with("NCCL 2.")) {
    CHECK(nccl_text().size() > std::string("NCCL 2.").size());
  } else {
    CHECK_THROWS_AS(meet_over_nccl({new_rendezvous(), 0, 2, 1.0, 1.0}, at::Device(at::kCUDA, 0)), NotBuilt);
  }
}

}  // namespace
}  // namespace regatta
