#!/usr/bin/env bash
# Faults of a training by a group of processes on the CPU: a member that is killed, stopped or out of memory ends the
# whole group with one reason, nothing is left running, and the same command ends with the bytes of an undisturbed
# training. Before that, the losses of 300 steps beside those of one process; then N kills at random moments, of a member
# or of the process that started them.
# usage: group.sh N [BIN_DIR] [SEED] [SHIM]
set -euo pipefail
kills_wanted=${1:?usage: group.sh N [BIN_DIR] [SEED] [SHIM]}
bin=${2:-$(dirname "$0")/../../build/release/bin}
RANDOM=${3:-1}
shim=${4:-$bin/memory_shim.so}
export OMP_NUM_THREADS=1

work=$(mktemp -d)
child=
cleanup() {
  if [[ -n $child ]]; then kill -9 "$child" 2>/dev/null || true; fi  # its members die with it
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; tail -n 5 "$work"/log* "$work"/run/a*/log*.txt >&2 2>/dev/null || true; exit 1; }

"$bin/make_scene" "$work" >"$work/scene"
cat >"$work/recipe.json" <<'JSON'
{"data": {"archive": "scene.h5"},
 "model": {"name": "voxelmorph-custom", "options": {"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4]}},
 "losses": {"ncc": {"weight": 1, "options": {"window": 5}}, "grad": {"weight": 0.5}},
 "optim": {"lr": 0.002}, "train": {"steps": 60, "flip": true, "batch": 2}, "validation": {"every_epochs": 5},
 "checkpoint": {"every_s": 0, "every_steps": 1}, "run": {"device": "cpu", "threads": 1}}
JSON
run=$work/run
start() {  # start LOG [PATIENCE]: a training by two members; $child is the process that starts them
  env LD_PRELOAD="$shim" REGATTA_TEST_NO_MEMORY="$work/no-memory" "$bin/regatta-engine" train "$work/recipe.json" \
    -o "$run" --gpus 2 --patience "${2:-60}" >"$1" 2>&1 &
  child=$!
}
members() { cat "/proc/$child/task/$child/children" 2>/dev/null || true; }
wait_for_checkpoint() {  # of this attempt
  local attempt=$1
  while kill -0 "$child" 2>/dev/null && [[ ! -e $run/a$attempt/checkpoints/manifest.json ]]; do sleep 0.005; done
}
end_of_group() {  # waits; sets $code and $seconds
  local from pids=$1 pid
  from=$(date +%s.%N)
  code=0
  { wait "$child"; } 2>/dev/null || code=$?
  child=
  for pid in $pids; do
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
  done
  seconds=$(echo "$(date +%s.%N) - $from" | bc)
}
weights() { find "$1" -name 000000060.safetensors | sort | tail -n 1; }
check_bytes() {
  cmp -s "$(weights "$run")" "$work/whole.last" || fail "$1: the last checkpoint differs"
  cmp -s "$run/best.safetensors" "$work/whole.best" || fail "$1: best.safetensors differs"
  [[ -z $(find "$run" -name '*.bad') ]] || fail "$1: a checkpoint did not verify"
}

start "$work/log.whole"
end_of_group "$(members)"
((code == 0)) || fail "the undisturbed training ended with $code"
cp "$(weights "$run")" "$work/whole.last"
cp "$run/best.safetensors" "$work/whole.best"

# Equal within rounding to one process, over 300 steps.
for members in 1 2; do
  "$bin/regatta-engine" train "$work/recipe.json" -o "$work/curve$members" --gpus $members --set /train/steps=300 \
    --set /checkpoint/every_steps=0 >"$work/log.curve" 2>&1 || fail "300 steps by $members"
  sed -n 's/.*"kind":"train".*"total":\([-0-9.e]*\).*/\1/p' "$work/curve$members/a1/metrics.jsonl" >"$work/totals$members"
done
paste "$work/totals1" "$work/totals2" | awk '{ apart = $1 > $2 ? $1 - $2 : $2 - $1; if (apart > most) most = apart }
  END { printf "300 steps by two processes and by one: losses at most %.3g apart\n", most; exit !(NR == 300 && most < 3e-3) }' ||
  fail "the curve of two processes is not that of one"

# fault NAME RANK EXPECTED_CODE REASON: what is done to member RANK, and what is said of it
fault() {
  local name=$1 rank=$2 expected=$3 reason=$4 pids pid
  rm -rf "$run"
  start "$work/log.fault" "$([[ $name == stopped ]] && echo 5 || echo 60)"
  wait_for_checkpoint 1
  pids=$(members)
  pid=$(echo "$pids" | cut -d ' ' -f $((rank + 1)))
  [[ -n $pid ]] || fail "$name: the group had ended before its fault"
  case $name in
    killed) kill -9 "$pid" ;;
    stopped) kill -STOP "$pid" ;;
    memory) touch "$work/no-memory.$pid" ;;
  esac
  end_of_group "$pids"
  ((code == expected)) || fail "$name, member $rank: code $code, expected $expected"
  [[ $(grep -cE ' E .*member [01] of 2' "$work/log.fault") == 1 ]] || fail "$name: not one reason"
  grep -qE "member $rank of 2$reason" "$work/log.fault" || fail "$name: not the reason of member $rank"
  took=$seconds
  start "$work/log.again"
  end_of_group "$(members)"
  ((code == 0)) || fail "$name: the next attempt ended with $code"
  grep -qE "resume: step [1-9][0-9]* .*, bitwise" "$work/log.again" || fail "$name: the next attempt did not resume"
  check_bytes "$name"
  echo "member $rank $name: the group ended after $took s, resumed, bytes equal"
}
for rank in 0 1; do
  fault killed $rank 4 ': ended by signal 9'
  fault stopped $rank 4 '.*T \(stopped\)'
  fault memory $rank 12 ':.*memory'
done

kills=0 resumed=0
while ((kills < kills_wanted)); do
  rm -rf "$run"
  attempt=0 code=1
  while ((code != 0)); do
    attempt=$((attempt + 1))
    start "$work/log.$attempt"
    if ((kills < kills_wanted)); then
      wait_for_checkpoint $attempt
      sleep "0.$(printf %03d $((RANDOM % 400)))"
      pids=$(members)
      read -ra all <<<"$child $pids"
      victim=${all[RANDOM % ${#all[@]}]}
      if kill -9 "$victim" 2>/dev/null; then kills=$((kills + 1)); fi
      end_of_group "$pids"
    else
      end_of_group "$(members)"
    fi
    ((code == 0 || code == 4 || code == 137)) || fail "attempt $attempt ended with $code"
    if ((attempt > 1)); then
      grep -qE "resume: step [1-9]|nothing left to do" "$work/log.$attempt" || [[ ! -s $work/log.$attempt ]] ||
        fail "attempt $attempt did not resume"
      resumed=$((resumed + 1))
    fi
  done
  check_bytes "after kills"
done
echo "kills $kills, resumed $resumed, lost 0"
