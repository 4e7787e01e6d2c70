#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs them, one after the other, at low priority; a crash leaves its input in
# build/fuzz/found and ends the run.
#   test/fuzz/run.sh [--seconds N] [--seed N] [TARGET...]
# seconds: of each target, default 60; seed: the same inputs in the same order again, default another one each time;
# targets: safetensors nifti archive, default all
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
all=(safetensors nifti archive)
seconds=60
seed=0  # libFuzzer takes one by the clock
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?--seconds needs a number}; shift ;;
    --seed) seed=${2:?--seed needs a number}; shift ;;
    safetensors | nifti | archive) targets+=("$1") ;;
    *) echo "test/fuzz/run.sh: '$1', --seconds N, --seed N or a target expected: ${all[*]}" >&2; exit 2 ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
command -v clang++ >/dev/null || { echo "SKIPPED: test/fuzz/run.sh: clang++ with libFuzzer"; exit 0; }

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}"
mkdir -p build/fuzz/found
for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  seeds=build/fuzz/seeds/$target
  mkdir -p "$corpus"
  python3 test/fuzz/make_corpus.py "$target" "$seeds"
  echo "=== $target: $seconds s"
  options=(-max_total_time="$seconds" -seed="$seed" -max_len=4096 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1)
  [ ! -f "test/fuzz/$target.dict" ] || options+=(-dict="test/fuzz/$target.dict")
  nice -n 19 "build/fuzz/bin/fuzz_$target" "${options[@]}" -artifact_prefix="build/fuzz/found/$target-" "$corpus" "$seeds"
done
