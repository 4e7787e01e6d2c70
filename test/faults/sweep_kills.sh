#!/usr/bin/env bash
# A sweep with asynchronous halving of real trainings on the CPU, whose processes (engine, supervisor, coordinator,
# spawner, mpirun, all at once) are killed N times at random moments, each after a new checkpoint; then the same command
# again, until all is done. With 1 rank decisions, report and weights must be those of the undisturbed sweep; with 4
# each decision must follow from its recorded cut, and each trial must have the weights of one that ran through.
# usage: sweep_kills.sh [N] [BIN_DIR] [SEED] [RANKS]    RANKS: 1, 4, or both
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kills=${1:-50} bin=${2:-$here/../../build/release/bin} seed=${3:-1} ranks=${4:-both}
bin=$(cd "$bin" && pwd)
case $ranks in
  1) tests='asynchronous halving on 1 rank*' ;;
  4) tests='asynchronous halving on 4 ranks*' ;;
  both) tests='asynchronous halving*' ;;
  *) echo "$ranks: 1, 4 or both expected" >&2; exit 2 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/make_scene" "$work"
# 16 points; an eighth of the training to the first rung, and about 10 steps per kill in all.
epochs=$((8 * (kills > 10 ? kills / 5 : 2)))
cat >"$work/job.json" <<JSON
{"name": "kills", "scheduler": {"name": "asha", "eta": 2, "least": $((epochs / 8))},
 "axes": {"/optim/lr": {"list": [0.0005, 0.001, 0.002, 0.004]}, "/losses/grad/weight": {"list": [0.1, 0.3, 1.0, 3.0]}},
 "recipe": {"data": {"archive": "scene.h5"},
  "model": {"name": "voxelmorph-custom", "options": {"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4]}},
  "losses": {"ncc": {"weight": 1, "options": {"window": 5}}, "grad": {"weight": 0.5}},
  "train": {"epochs": $epochs, "flip": true}, "validation": {"every_epochs": 1},
  "checkpoint": {"every_s": 0, "every_steps": 1}, "run": {"device": "cpu", "threads": 1}}}
JSON
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES='' REGATTA_E2E_JOB=$work/job.json REGATTA_E2E_WORKER=$bin/regatta-engine
export REGATTA_E2E_KILLS=$kills REGATTA_E2E_SEED=$seed
"$bin/test_e2e_sweep" "$tests"
