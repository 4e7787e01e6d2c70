# shellcheck shell=bash
# shellcheck disable=SC2034  # variables are used by the scripts that source this
# For the tests of this folder: a Slurm box for the time of the script, jobs to wait for, checks. Sourced.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)

skip() {   # CTest's code for a skipped test is 77
  echo "SKIPPED: $(basename "$0" .sh) in a real Slurm: $*"
  exit 77
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

expect() {   # WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1: got '$2', expected '$3'"
  echo "ok: $1: $2"
}

start_box() {   # [options of slurmbox.sh up]; then $work is a folder that every node sees
  local program
  PATH=$PATH:/usr/sbin:/sbin
  for program in slurmctld slurmd munged srun python3 bc unshare; do
    command -v "$program" >/dev/null || skip "$program is missing (env/packages-test.txt)"
  done
  box=$(mktemp -d "${TMPDIR:-/tmp}/regatta-slurm-XXXXXX")
  trap stop_box EXIT
  trap 'exit 143' TERM INT
  if ! "$here/box/slurmbox.sh" up "$box" "$@"; then
    [[ $(slurmctld -V) != *" 22.05"* ]] || fail "the Slurm box does not start"
    skip "the box does not start with $(slurmctld -V); it is written for 22.05"
  fi
  eval "$("$here/box/slurmbox.sh" env "$box")"
  work=$box/work
  mkdir -p "$work"
  cd "$work"
}

stop_box() {
  local code=$?
  if [ "$code" != 0 ]; then
    tail -n 40 "$box"/work/*.log "$box"/work/sweep/slurm/*.log 2>/dev/null || true
  fi
  cd /
  "$here/box/slurmbox.sh" down "$box"
  rm -rf "$box"
}

wait_until() {   # SECONDS WHAT COMMAND...
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$limit" ] || fail "waited too long for: $what"
    sleep 0.2
  done
}

field() {   # JOB FIELD of scontrol show job
  scontrol show job "$1" -o | grep -oE " $2=[^ ]*" | head -n 1 | cut -d= -f2
}

job_is() {   # JOB STATE...
  local state wanted
  state=$(field "$1" JobState)
  for wanted in "${@:2}"; do
    [ "$state" != "$wanted" ] || return 0
  done
  return 1
}

has_ended() { job_is "$1" COMPLETED FAILED CANCELLED TIMEOUT NODE_FAIL; }
