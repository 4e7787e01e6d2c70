#!/bin/bash
# All scenarios of this folder, one after the other, with their logs kept: what Slurm said at each stage, and what the
# journal proves.
#   run_all.sh OUTDIR [BIN_DIR]      REGATTA_TEST_REQUEUES=20: the whole requeue chain (default here)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || { echo "usage: run_all.sh OUTDIR [BIN_DIR]" >&2; exit 2; }
mkdir -p "$1"
out=$(realpath "$1")
bin=$(realpath "${2:-$here/../../build/release/bin}")
export REGATTA_TEST_REQUEUES=${REGATTA_TEST_REQUEUES:-20}
{
  slurmctld -V 2>/dev/null || /usr/sbin/slurmctld -V
  "$bin/regatta" --version | head -n 1
  for scenario in time_limit array elastic node_crash link_cut preemption requeue_chain loop_guard what_next; do
    begin=$SECONDS code=0
    "$here/$scenario.sh" "$bin" >"$out/$scenario.log" 2>&1 || code=$?
    case $code in
      0) word=passed ;;
      77) word="$(grep -m 1 '^SKIPPED' "$out/$scenario.log")" ;;
      *) word="FAILED ($code)" ;;
    esac
    echo "$scenario: $word, $((SECONDS - begin)) s"
    grep '^ok: [0-9]* trials ended' "$out/$scenario.log" | sed 's/^ok:/   /' || true
  done
} | tee "$out/summary.txt"
exit "$(grep -c FAILED "$out/summary.txt" || true)"
