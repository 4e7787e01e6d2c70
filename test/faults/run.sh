#!/usr/bin/env bash
# Faults of one training and of a sweep's files: a bounded part, or all of it with --full. Prints tables, writes JSON.
# usage: run.sh [--full [--every N]] [--jobs N] [--seed N] [--json FILE] [--kills N] [--bin DIR]
#               [--only journal|training|kills] [--test TEXT]
# --every N: of a full run only each N-th call, from the seed on. --test: those whose names contain TEXT. --kills N adds N random kill -9. DIR holds
# fault_shim.so, journal_faults, training_faults, make_scene and regatta-engine; elsewhere than on the machine that built
# them LD_LIBRARY_PATH names LibTorch. Temporary files go below TMPDIR.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../../build/release/bin jobs=2 seed=1 json='' full=() kills=0 only=''
while (($# > 0)); do
  case $1 in
    --full) full=(--full); shift; continue ;;
  esac
  value=${2:?$1: a value expected}
  case $1 in
    --jobs) jobs=$value ;;
    --test) full+=(--test "$value") ;;
    --every) full+=(--every "$value") ;;
    --seed) seed=$value ;;
    --json) json=$value ;;
    --kills) kills=$value ;;
    --bin) bin=$value ;;
    --only) only=$value ;;
    *) echo "$1: unknown option" >&2; exit 2 ;;
  esac
  shift 2
done
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=''
work=$(mktemp -d)
children=()
cleanup() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
code=0
for part in journal training; do
  [[ -z $only || $only == "$part" ]] || continue
  "$bin/${part}_faults" --work "$work/$part" "${full[@]}" --jobs "$jobs" --seed "$seed" \
    --json "$work/$part.json" || code=1
done

# Trainings killed at random moments: one series a job, each with a seed of its own.
if ((kills > 0)) && [[ -z $only || $only == kills ]]; then
  for ((job = 0; job < jobs; ++job)); do
    share=$((kills / jobs + (job < kills % jobs ? 1 : 0)))
    ((share > 0)) || continue
    "$here/../e2e/train_kill.sh" "$share" "$bin" $((seed * 1000 + job)) >"$work/kills.$job" 2>&1 &
    children+=($!)
  done
  for child in "${children[@]}"; do wait "$child" || code=1; done
  children=()
  cat "$work"/kills.*
  awk -v wanted="$kills" '/ kills in /{done += $1} END {
    if (done == wanted) bound = sprintf("%.3g", 3 / done); else bound = "1"
    printf "{\"program\": \"train_kill\", \"tests\": [{\"test\": \"kill -9 at random moments\", \"runs\": %d, \"passes\": %d, \"failure_rate_below\": %s}]}\n", wanted, done, bound
  }' "$work"/kills.* | tee "$work/kills.json"
fi
if [[ -n $json ]]; then
  { printf '['; sep=; for part in "$work"/*.json; do printf '%s' "$sep"; cat "$part"; sep=,; done; printf ']\n'; } >"$json"
fi
((code == 0))
