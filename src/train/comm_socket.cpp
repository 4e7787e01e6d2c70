// Members of one node in a star around member 0, over Unix sockets in the abstract namespace: no file, no port. Only
// processes of the same user are let in.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "regatta/base/version.hpp"
#include "train/comm.hpp"
#include "train/comm_link.hpp"
#include "train/step_clock.hpp"

namespace regatta {
namespace {

constexpr double kMore_s = 5.0;  ///< of patience with member 0, which knows better for whom all wait
constexpr std::uint64_t kLongestText = std::uint64_t{1} << 28;

enum Kind : std::uint32_t { kHello, kBroadcast, kGather, kSum };

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int new_socket() {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REGATTA_REQUIRE(fd >= 0, CommError, "group: socket: ", std::strerror(errno));
  return fd;
}

struct Address {
  sockaddr_un value{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&value); }
};

/// In the abstract namespace: the path begins with a zero byte.
Address address_of(const std::string& name) {
  Address address;
  REGATTA_REQUIRE(!name.empty() && name.size() + 1 < sizeof address.value.sun_path, BugError, "rendezvous '", name,
                  "': length ", name.size());
  address.value.sun_family = AF_UNIX;
  std::memcpy(address.value.sun_path + 1, name.data(), name.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

void require_own_user(int fd) {
  ucred who{};
  socklen_t length = sizeof who;
  REGATTA_REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && who.uid == ::geteuid(), CommError,
                  "group: a process of another user answers at the rendezvous");
}

/// What a member says first.
struct Hello {
  std::int32_t rank = 0;
  std::int32_t size = 0;
  char build[64] = {};
};

Hello hello_of(const GroupPlace& place) {
  Hello hello{place.rank, place.size, {}};
  build_id().copy(hello.build, sizeof hello.build - 1);
  return hello;
}

class SocketComm final : public Comm {
 public:
  explicit SocketComm(const GroupPlace& place) : rank_(place.rank), size_(place.size) {
    REGATTA_REQUIRE(place.size >= 1 && place.rank >= 0 && place.rank < place.size, BugError, "member ", place.rank,
                    " of ", place.size);
    const double end_s = now_s() + place.deadline_s;
    if (rank_ == 0) {
      wait_for_all(place, end_s);
    } else {
      links_.push_back(join(place, end_s));
    }
    SocketComm::set_patience_s(place.deadline_s);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void set_patience_s(double seconds) override {
    for (CommLink& link : links_) {
      link.set_patience_s(rank_ == 0 ? seconds : seconds + kMore_s);
    }
  }

  std::string broadcast(std::string text) override {
    const std::uint64_t number = number_++;
    if (rank_ == 0) {
      send_all(number, kBroadcast, text);
      return text;
    }
    return receive_text(links_.front(), number, kBroadcast);
  }

  std::vector<std::string> gather(std::string text) override {
    const std::uint64_t number = number_++;
    std::vector<std::string> texts;
    if (rank_ == 0) {
      texts.push_back(std::move(text));
      for (CommLink& link : links_) {
        texts.push_back(receive_text(link, number, kGather));
      }
      for (const std::string& one : texts) {
        send_all(number, kGather, one);
      }
      return texts;
    }
    send_text(links_.front(), number, kGather, text);
    for (int member = 0; member < size_; ++member) {
      texts.push_back(receive_text(links_.front(), number, kGather));
    }
    return texts;
  }

  void all_reduce_(const std::vector<at::Tensor>& tensors) override {
    const std::uint64_t number = number_++;
    std::size_t count = 0;
    for (const at::Tensor& tensor : tensors) {
      REGATTA_REQUIRE(tensor.device().is_cpu() && tensor.is_contiguous() && tensor.scalar_type() == at::kFloat,
                      BugError, "group: a sum over sockets takes contiguous float32 tensors of the CPU");
      count += static_cast<std::size_t>(tensor.numel());
    }
    const MessageHead head = {number, kSum, 0, count * sizeof(float)};
    if (rank_ != 0) {
      exchange(head, tensors);
      return;
    }
    buffer_.resize(count);
    for (CommLink& link : links_) {  // in the order of the ranks
      require_bytes(link, link.receive_head(number, kSum), head.bytes);
      link.receive(buffer_.data(), head.bytes);
      const float* from = buffer_.data();
      for (const at::Tensor& tensor : tensors) {
        float* to = tensor.mutable_data_ptr<float>();
        for (std::int64_t i = 0; i < tensor.numel(); ++i) {
          to[i] += from[i];
        }
        from += tensor.numel();
      }
    }
    float* to = buffer_.data();
    for (const at::Tensor& tensor : tensors) {
      const float* values = tensor.const_data_ptr<float>();
      to = std::copy(values, values + tensor.numel(), to);
    }
    for (CommLink& link : links_) {
      link.send(head, buffer_.data());
    }
  }

 private:
  /// Sends the tensors to member 0 and overwrites them with its sums.
  void exchange(const MessageHead& head, const std::vector<at::Tensor>& tensors) {
    buffer_.resize(head.bytes / sizeof(float));
    float* to = buffer_.data();
    for (const at::Tensor& tensor : tensors) {
      const float* values = tensor.const_data_ptr<float>();
      to = std::copy(values, values + tensor.numel(), to);
    }
    CommLink& link = links_.front();
    link.send(head, buffer_.data());
    require_bytes(link, link.receive_head(head.number, kSum), head.bytes);
    for (const at::Tensor& tensor : tensors) {
      link.receive(tensor.mutable_data_ptr<float>(), tensor.nbytes());
    }
  }

  static void require_bytes(const CommLink& link, const MessageHead& head, std::uint64_t bytes) {
    REGATTA_REQUIRE(head.bytes == bytes, BugError, link.text(), " sums ", head.bytes, " bytes, this one ", bytes);
  }

  static void send_text(CommLink& link, std::uint64_t number, Kind kind, const std::string& text) {
    link.send({number, kind, 0, text.size()}, text.data());
  }

  void send_all(std::uint64_t number, Kind kind, const std::string& text) {
    for (CommLink& link : links_) {
      send_text(link, number, kind, text);
    }
  }

  static std::string receive_text(CommLink& link, std::uint64_t number, Kind kind) {
    const MessageHead head = link.receive_head(number, kind);
    REGATTA_REQUIRE(head.bytes <= kLongestText, BugError, link.text(), " sends ", head.bytes, " bytes of text");
    std::string text(head.bytes, '\0');
    link.receive(text.data(), text.size());
    return text;
  }

  void wait_for_all(const GroupPlace& place, double end_s) {
    const Descriptor door(new_socket());
    const Address address = address_of(place.rendezvous);
    REGATTA_REQUIRE(::bind(door.get(), address.get(), address.length) == 0 && ::listen(door.get(), size_) == 0,
                    CommError, "group: rendezvous '", place.rendezvous, "': ", std::strerror(errno));
    std::vector<std::optional<CommLink>> seen(static_cast<std::size_t>(size_));
    for (int met = 1; met < size_; ++met) {
      CommLink link = admit(door.get(), end_s, seen);
      const auto member = static_cast<std::size_t>(link.member());
      seen[member].emplace(std::move(link));
    }
    for (std::optional<CommLink>& link : seen) {
      if (link) {
        send_text(*link, 0, kHello, "welcome");
        links_.push_back(std::move(*link));
      }
    }
  }

  CommLink admit(int door, double end_s, const std::vector<std::optional<CommLink>>& seen) const {
    pollfd wait{door, POLLIN, 0};
    while (true) {
      const double left_s = end_s - now_s();
      REGATTA_REQUIRE(left_s > 0.0, MemberHangs, "group: ", missing(seen), " did not come to the rendezvous in time");
      if (::poll(&wait, 1, static_cast<int>(1000.0 * std::min(left_s, 1.0)) + 1) <= 0) {
        continue;
      }
      Descriptor guest(::accept4(door, nullptr, nullptr, SOCK_CLOEXEC));
      if (guest.get() < 0) {
        continue;
      }
      require_own_user(guest.get());
      CommLink unknown(guest.release(), -1, size_);
      unknown.set_patience_s(left_s);
      Hello hello;
      require_bytes(unknown, unknown.receive_head(0, kHello), sizeof hello);
      unknown.receive(&hello, sizeof hello);
      hello.build[sizeof hello.build - 1] = '\0';
      REGATTA_REQUIRE(hello.build == build_id().substr(0, sizeof hello.build - 1), CommError, "group: member ",
                      hello.rank, " is build '", hello.build, "', this is build '", build_id(), "'");
      REGATTA_REQUIRE(
          hello.size == size_ && hello.rank > 0 && hello.rank < size_ && !seen[static_cast<std::size_t>(hello.rank)],
          CommError, "group: member ", hello.rank, " of ", hello.size, " came to a group of ", size_);
      return {std::move(unknown), hello.rank};
    }
  }

  std::string missing(const std::vector<std::optional<CommLink>>& seen) const {
    std::vector<std::string> names;
    for (int member = 1; member < size_; ++member) {
      if (!seen[static_cast<std::size_t>(member)]) {
        names.push_back(str("member ", member, " of ", size_));
      }
    }
    return regatta::join(names, ", ");
  }

  static CommLink join(const GroupPlace& place, double end_s) {
    const Address address = address_of(place.rendezvous);
    while (true) {
      Descriptor socket(new_socket());
      if (::connect(socket.get(), address.get(), address.length) == 0) {
        require_own_user(socket.get());
        CommLink link(socket.release(), 0, place.size);
        link.set_patience_s(std::max(end_s - now_s(), 0.1) + kMore_s);
        const Hello hello = hello_of(place);
        link.send({0, kHello, 0, sizeof hello}, &hello);
        receive_text(link, 0, kHello);
        return link;
      }
      REGATTA_REQUIRE(now_s() < end_s, MemberHangs, "group: member 0 of ", place.size,
                      " did not come to the rendezvous in time");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  int rank_;
  int size_;
  std::vector<CommLink> links_;  ///< of member 0: to all others, by rank; of these: to member 0
  std::vector<float> buffer_;
  std::uint64_t number_ = 1;
};

}  // namespace

std::unique_ptr<Comm> meet_over_sockets(const GroupPlace& place) {
  return std::make_unique<SocketComm>(place);
}

}  // namespace regatta
