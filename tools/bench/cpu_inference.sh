#!/usr/bin/env bash
# CPU inference of our programs against PyTorch on this machine, one after the other in one go: the same weights, the same
# pair, the fields compared. Writes a JSON file with times, peak memory and their ratios.
#   tools/bench/cpu_inference.sh [-o FILE] [-s DxHxW] [-t THREADS] [-n NETWORK[,NETWORK]] [-b BIN_DIR] [-p PYTHON]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
output=docs/benchmarks/cpu-inference.json
size=160x192x224
threads=$(nproc)
networks=voxelmorph-2,transmorph
bin=build/release/bin
python=${REGATTA_TORCH_PYTHON:-python3}
while getopts o:s:t:n:b:p: option; do
  case $option in
    o) output=$OPTARG ;;
    s) size=$OPTARG ;;
    t) threads=$OPTARG ;;
    n) networks=$OPTARG ;;
    b) bin=$OPTARG ;;
    p) python=$OPTARG ;;
    *) sed -n 4p "$0" >&2 && exit 2 ;;
  esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for network in ${networks//,/ }; do
  "$bin/regatta-engine" bench networks "$network" --inference --device cpu --size "$size" --threads "$threads" \
    --warmup 1 --steps 3 --save-weights "$work/$network.weights" --save-flow "$work/$network.flow" \
    -o "$work/$network.ours.json"
  "$python" tools/bench/torch_inference.py "$network" --size "$size" --threads "$threads" --warmup 1 --steps 3 \
    --weights "$work/$network.weights" --flow "$work/$network.flow" -o "$work/$network.torch.json"
done
"$python" tools/bench/join_inference.py "$work" "$networks" "$output"
