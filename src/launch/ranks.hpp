// The ranks of a sweep and the letters between them. Over MPI, or alone without MPI at all. One event loop a rank calls
// in here every few milliseconds; nothing waits, but for the collective calls at the start.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "regatta/config/options.hpp"

namespace regatta {

struct Letter {
  int from = 0;
  Json body;
};

/// A letter's body: "type" first, then the fields.
Json make_letter(const std::string& type, const Json& fields = Json::object());

class Ranks {
 public:
  virtual ~Ranks() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Queues a letter; letters of one sender arrive in order. Sending to oneself is allowed.
  void send(int to, const Json& body);

  /// Letters that have arrived, without waiting.
  std::vector<Letter> receive();

  /// Collective, waits: everybody's text, by rank. Only before the event loop.
  virtual std::vector<std::string> gather(const std::string& text) = 0;

  /// Collective: sees all letters off, waits until every rank is here, then ends MPI. Without a busy wait.
  /// @throws CommError if a rank is not here in time
  virtual void leave(double timeout_s) = 0;

 protected:
  virtual void send_away(int to, std::string text) = 0;
  virtual void receive_arrived(std::vector<Letter>& letters) = 0;

 private:
  std::deque<Json> own_;
};

/// Over MPI_COMM_WORLD; calls MPI_Init.
std::unique_ptr<Ranks> connect_ranks();

/// One rank, no MPI.
std::unique_ptr<Ranks> solo_rank();

}  // namespace regatta
