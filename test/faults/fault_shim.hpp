// What the programs of this folder tell fault_shim.so, which is linked before the C library: where to count which
// calls, and what happens at the n-th.
#pragma once

namespace regatta::faults {

/// Calls that are counted, as bits.
enum Calls : unsigned {
  kOpen = 1,
  kWrite = 2,
  kSync = 4,
  kClose = 8,
  kRename = 16,
  kLink = 32,
  kUnlink = 64,
  kMkdir = 128,
  kAll = 255
};

enum class Fault { kNone, kError, kShortWrite, kStall, kKillBefore, kKillAfter };

struct Plan {
  char root[1024] = "";   ///< only paths below it count
  char trace[1024] = "";  ///< every call with its data is appended to this file; empty: no trace
  unsigned calls = kAll;
  Fault fault = Fault::kNone;
  int error = 0;          ///< errno of kError
  int stall_ms = 0;       ///< of kStall
  long from = 0;          ///< the first call that is hit, from 1 ...
  long to = 0;            ///< ... and the last
  int lock_error = 0;     ///< errno of every flock; 0: none
  long clock_jump_s = 0;  ///< the wall clock leaps to and fro by this
};

/// One record of a trace: this header, then the two texts.
struct TraceHeader {
  unsigned call = 0;    ///< one of Calls; 0: a mark
  long file = 0;        ///< of kOpen, kWrite, kSync; 0 with kSync: a directory, `first`
  long offset = 0;      ///< of kWrite; of a mark its value
  unsigned first = 0;   ///< bytes: path, or data of kWrite
  unsigned second = 0;  ///< bytes: new path of kRename and kLink
};

}  // namespace regatta::faults

extern "C" {
/// Starts counting again.
void fault_shim_arm(const regatta::faults::Plan* plan);
/// Calls counted since.
long fault_shim_calls();
/// Puts a value into the trace.
void fault_shim_mark(long value);
}
