// One datagram with at most one descriptor over a SOCK_SEQPACKET pair, between a rank and its spawner.
#pragma once

#include <string>

namespace regatta {

/// @param passed  a descriptor to hand over, or -1
/// @return false if the other end is gone
bool send_packet(int fd, const std::string& text, int passed = -1);

struct Packet {
  std::string text;  ///< empty: the other end is gone
  int passed = -1;   ///< close-on-exec; the receiver's to close
};

/// Waits for one packet.
Packet receive_packet(int fd);

}  // namespace regatta
