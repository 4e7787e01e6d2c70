#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs them at low priority; a crash leaves its input in build/fuzz/found.
#   test/fuzz/run.sh [SECONDS]      default: 60
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-60}
command -v clang++ >/dev/null || { echo "test/fuzz/run.sh: needs clang++ with libFuzzer" >&2; exit 1; }
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz_safetensors
mkdir -p build/fuzz/corpus build/fuzz/found
python3 test/fuzz/make_corpus.py build/fuzz/seeds
nice -n 19 build/fuzz/bin/fuzz_safetensors -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=2048 \
  -artifact_prefix=build/fuzz/found/ -dict=test/fuzz/safetensors.dict -print_final_stats=1 build/fuzz/corpus build/fuzz/seeds
