// Ranks over MPI (the C interface, non-blocking), and the single rank without it.
#include "launch/ranks.hpp"

#include <chrono>
#include <list>
#include <thread>

#include "launch/mpi_call.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/launch/abort_ranks.hpp"

namespace regatta {
namespace {

constexpr int kLetterTag = 7;
constexpr auto kPause = std::chrono::milliseconds(5);

class SoloRank final : public Ranks {
 public:
  int rank() const override { return 0; }

  int size() const override { return 1; }

  std::vector<std::string> gather(const std::string& text) override { return {text}; }

  void leave(double) override {}

 protected:
  void send_away(int to, std::string) override { throw BugError(str("ranks: no rank ", to)); }

  void receive_arrived(std::vector<Letter>&) override {}
};

class MpiRanks final : public Ranks {
 public:
  MpiRanks() {
    int provided = 0;
    REGATTA_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
    REGATTA_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    REGATTA_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
    REGATTA_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size_));
  }

  int rank() const override { return rank_; }

  int size() const override { return size_; }

  std::vector<std::string> gather(const std::string& text) override;
  void leave(double timeout_s) override;

 protected:
  void send_away(int to, std::string text) override;
  void receive_arrived(std::vector<Letter>& letters) override;

 private:
  struct Parcel {
    int peer = 0;
    std::string text;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  static bool is_done(Parcel& parcel) {
    int done = 0;
    REGATTA_MPI(MPI_Test(&parcel.request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  }

  void drop_sent() {
    outgoing_.remove_if([](Parcel& parcel) { return is_done(parcel); });
  }

  int rank_ = 0;
  int size_ = 1;
  std::list<Parcel> outgoing_;  ///< stable addresses: MPI holds on to the text
  std::list<Parcel> incoming_;
};

void MpiRanks::send_away(int to, std::string text) {
  Parcel& parcel = outgoing_.emplace_back(Parcel{to, std::move(text), MPI_REQUEST_NULL});
  REGATTA_MPI(MPI_Isend(parcel.text.data(), static_cast<int>(parcel.text.size()), MPI_CHAR, to, kLetterTag,
                        MPI_COMM_WORLD, &parcel.request));
}

void MpiRanks::receive_arrived(std::vector<Letter>& letters) {
  drop_sent();
  while (true) {
    int found = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status{};
    REGATTA_MPI(MPI_Improbe(MPI_ANY_SOURCE, kLetterTag, MPI_COMM_WORLD, &found, &message, &status));
    if (found == 0) {
      break;
    }
    int bytes = 0;
    REGATTA_MPI(MPI_Get_count(&status, MPI_CHAR, &bytes));
    Parcel& parcel = incoming_.emplace_back(
        Parcel{status.MPI_SOURCE, std::string(static_cast<std::size_t>(bytes), '\0'), MPI_REQUEST_NULL});
    REGATTA_MPI(MPI_Imrecv(parcel.text.data(), bytes, MPI_CHAR, &message, &parcel.request));
  }
  // In the order of their arrival, so that the letters of one sender stay in order: a long one holds the later ones up.
  while (!incoming_.empty() && is_done(incoming_.front())) {
    letters.push_back({incoming_.front().peer, parse_json(incoming_.front().text, "letter")});
    incoming_.pop_front();
  }
}

std::vector<std::string> MpiRanks::gather(const std::string& text) {
  const std::size_t count = static_cast<std::size_t>(size_);
  const int own = static_cast<int>(text.size());
  std::vector<int> sizes(count);
  REGATTA_MPI(MPI_Allgather(&own, 1, MPI_INT, sizes.data(), 1, MPI_INT, MPI_COMM_WORLD));
  std::vector<int> begins(count);
  int total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    begins[i] = total;
    total += sizes[i];
  }
  std::string all(static_cast<std::size_t>(total), '\0');
  REGATTA_MPI(
      MPI_Allgatherv(text.data(), own, MPI_CHAR, all.data(), sizes.data(), begins.data(), MPI_CHAR, MPI_COMM_WORLD));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    texts.push_back(all.substr(static_cast<std::size_t>(begins[i]), static_cast<std::size_t>(sizes[i])));
  }
  return texts;
}

void MpiRanks::leave(double timeout_s) {
  const double end = system_clock().monotonic_s() + timeout_s;
  const auto wait_until = [&](auto&& reached, const char* what) {
    while (!reached()) {
      REGATTA_REQUIRE(system_clock().monotonic_s() < end, CommError, "leaving: ", what, " within ", timeout_s, " s");
      std::this_thread::sleep_for(kPause);
    }
  };
  wait_until(
      [&] {
        drop_sent();
        return outgoing_.empty();
      },
      "letters could not be delivered");
  MPI_Request barrier = MPI_REQUEST_NULL;
  REGATTA_MPI(MPI_Ibarrier(MPI_COMM_WORLD, &barrier));
  wait_until(
      [&] {
        int done = 0;
        REGATTA_MPI(MPI_Test(&barrier, &done, MPI_STATUS_IGNORE));
        return done != 0;
      },
      "not all ranks came to leave");
  REGATTA_MPI(MPI_Finalize());
}

}  // namespace

Json make_letter(const std::string& type, const Json& fields) {
  Json letter;
  letter["type"] = type;
  for (const auto& item : fields.items()) {
    if (item.key() != "type") {
      letter[item.key()] = item.value();
    }
  }
  return letter;
}

void Ranks::send(int to, const Json& body) {
  if (to == rank()) {
    own_.push_back(body);
  } else {
    send_away(to, dump_line(body));
  }
}

std::vector<Letter> Ranks::receive() {
  std::vector<Letter> letters;
  while (!own_.empty()) {
    letters.push_back({rank(), std::move(own_.front())});
    own_.pop_front();
  }
  receive_arrived(letters);
  return letters;
}

std::unique_ptr<Ranks> connect_ranks() {
  return std::make_unique<MpiRanks>();
}

std::unique_ptr<Ranks> solo_rank() {
  return std::make_unique<SoloRank>();
}

void abort_ranks(ExitCode code) {
  int initialised = 0;
  int finalised = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalised);
  if (initialised != 0 && finalised == 0) {
    MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  }
}

}  // namespace regatta
