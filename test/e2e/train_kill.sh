#!/usr/bin/env bash
# Kills `regatta train` with SIGKILL, N times at random moments, each after at least one checkpoint of that attempt, and
# compares what comes out in the end with an undisturbed training, byte for byte. Checkpoints are written after every
# step, so that many kills fall inside a save; how many left a half-written file is counted.
# usage: train_kill.sh N [BIN_DIR] [SEED]
set -euo pipefail
kills_wanted=${1:?usage: train_kill.sh N [BIN_DIR] [SEED]}
bin=${2:-$(dirname "$0")/../../build/release/bin}
RANDOM=${3:-1}
export OMP_NUM_THREADS=1

work=$(mktemp -d)
child=
cleanup() {
  if [[ -n $child ]]; then kill -9 "$child" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; tail -n 5 "$work"/log* >&2 || true; exit 1; }

"$bin/make_scene" "$work"
cat >"$work/recipe.json" <<'JSON'
{"data": {"archive": "scene.h5"},
 "model": {"name": "voxelmorph-custom", "options": {"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4]}},
 "losses": {"ncc": {"weight": 1, "options": {"window": 5}}, "grad": {"weight": 0.5}},
 "optim": {"lr": 0.002}, "train": {"steps": 60, "flip": true}, "validation": {"every_epochs": 2},
 "checkpoint": {"every_s": 0, "every_steps": 1}, "run": {"device": "cpu", "threads": 1}}
JSON
train() { exec "$bin/regatta-engine" train "$work/recipe.json" -o "$1" >"$2" 2>&1; }

(train "$work/whole" "$work/log.whole") || fail "the undisturbed training"
weights() { find "$1" -name 000000060.safetensors | sort | tail -n 1; }

kills=0 inside=0 rounds=0
while ((kills < kills_wanted)); do
  rounds=$((rounds + 1))
  run=$work/run attempt=0 code=137
  rm -rf "$run"
  while ((code == 137)); do
    attempt=$((attempt + 1))
    log=$work/log.$attempt
    (train "$run" "$log") &
    child=$!
    while kill -0 "$child" 2>/dev/null && [[ ! -e $run/a$attempt/checkpoints/manifest.json ]]; do sleep 0.005; done
    if ((kills < kills_wanted)); then
      sleep "0.$(printf %03d $((RANDOM % 250)))"
      kill -9 "$child" 2>/dev/null || true
    fi
    code=0
    { wait "$child"; } 2>/dev/null || code=$?  # bash would report each kill
    child=
    if ((attempt > 1)) && ! grep -qE "resume: step [1-9]|nothing left to do" "$log"; then fail "attempt $attempt did not resume"; fi
    if ((code == 137)); then
      kills=$((kills + 1))
      if [[ -n $(find "$run/a$attempt" "$run"/.best* -name '.*.tmp.*' 2>/dev/null || true) ]]; then
        inside=$((inside + 1))
      fi
    fi
  done
  ((code == 0)) || fail "attempt $attempt ended with $code"
  cmp "$(weights "$run")" "$(weights "$work/whole")" || fail "final weights and optimiser state differ"
  cmp "$run/best.safetensors" "$work/whole/best.safetensors" || fail "best weights differ"
  [[ -z $(find "$run" -name '*.bad') ]] || fail "a checkpoint did not verify"
  rm -f "$work"/log.[0-9]*
done
echo "$kills kills in $rounds trainings ($inside inside a save): all resumed from a checkpoint, results byte-equal"
