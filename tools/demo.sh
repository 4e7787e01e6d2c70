#!/bin/bash
# The main job on this machine, with all set-up: scans, archive, a sweep of 6 trials that is killed half-way
# and resumed, leaderboard, and one registered pair. CPU or GPU. About 6 minutes after set-up on 2 cores.
#   tools/demo.sh [OUT] [--cpu|--cuda] [--programs DIR]
# OUT: default demo/ in the checkout; a former demo there is replaced. --programs: those of DIR, and no set-up
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

out="" programs="" setup=()
while [ $# -gt 0 ]; do
  case $1 in
    --cpu | --cuda) setup+=("$1") ;;
    --programs) [ $# -ge 2 ] || { echo "demo: --programs needs a folder" >&2; exit 2; }; programs=$(realpath "$2"); shift ;;
    -*) echo "demo: unknown option '$1'" >&2; exit 2 ;;
    *) out=$(realpath -m "$1") ;;
  esac
  shift
done
out=${out:-$repository/demo}
cd "$repository"
job=jobs/demo.json
gpus=$({ nvidia-smi -L 2>/dev/null || true; } | grep -c '^GPU' || true)
ranks=$((gpus > 0 ? gpus : 4))   # one rank per GPU

title() { printf '\n=== %s  [%d min %02d s]\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }
fail() { echo "demo: $*" >&2; exit 1; }

if [ -z "$programs" ]; then
  title "set-up"
  env/setup.sh "${setup[@]}"
fi
PATH=${programs:-$repository/build/release/bin}:$PATH
begin=$SECONDS

title "scans: 12 subjects made from one brain"
if [ -e "$out" ]; then
  [ -e "$out/.regatta-demo" ] || fail "$out exists and is no former demo: remove it or name another folder"
  rm -rf "$out"
fi
mkdir -p "$out"
touch "$out/.regatta-demo"
regatta-demo-data "$out/scans"

title "pack: one archive, checked, with a picture sheet"
regatta pack "$out/scans/dataset.json" -o "$out/demo.h5" --qc "$out/demo.png"

# The job names its archive relative to its own folder, so both stand in the demo's folder.
cp "$job" "$out/demo.json"
sweep=$out/sweep
run_sweep() { exec regatta sweep "$out/demo.json" --ranks "$ranks" -o "$sweep"; }
steps_of() { { grep -ohE "\"$1\": *[0-9]+" "${@:2}" 2>/dev/null || true; } | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }
steps_done() {   # of all trials, by the last line of each metrics file
  local sum=0 file
  for file in "$sweep"/trials/*/a*/metrics.jsonl; do
    [ ! -e "$file" ] || sum=$((sum + $(steps_of step "$file")))
  done
  echo "$sum"
}
descendants() {
  local child children
  read -r -d '' -a children < <(cat "/proc/$1/task/"*/children 2>/dev/null) || true
  for child in "${children[@]}"; do
    echo "$child"
    descendants "$child"
  done
}
gone() { [ ! -d "/proc/$1" ] || grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null; }

title "plan: what the sweep will train"
regatta plan "$out/demo.json"
trials=$(steps_of trials "$out/demo.json") steps=$(steps_of steps "$out/demo.json")
half=$((trials * steps / 2))

title "sweep on $ranks ranks, to be killed half-way"
( run_sweep ) &
sweep_pid=$!
trap 'kill -TERM "$sweep_pid" 2>/dev/null || true' EXIT
while [ "$(steps_done)" -lt "$half" ]; do
  ! gone "$sweep_pid" || { wait "$sweep_pid"; fail "the sweep ended before it could be killed"; }
  sleep 0.5
done
mapfile -t processes < <(descendants "$sweep_pid")
kill -KILL "$sweep_pid" "${processes[@]}" 2>/dev/null || true
wait "$sweep_pid" 2>/dev/null || true
title "killed: kill -9 of $sweep_pid and the ${#processes[@]} processes under it, after $(steps_done) of $((trials * steps)) steps"
for process in "${processes[@]}"; do
  for _ in $(seq 300); do
    ! gone "$process" || break
    sleep 0.1
  done
  gone "$process" || fail "process $process outlived the sweep by 30 s"
done
echo "all of them are gone"
regatta status "$sweep"

title "the same command again: resumes"
( run_sweep ) &
sweep_pid=$!
wait "$sweep_pid"

title "collect: the leaderboard"
regatta collect "$sweep" | tee "$out/leaderboard.txt"

title "register a held-out subject with the winner, by the command printed above"
command=$(grep -oE 'regatta register .*' "$out/leaderboard.txt" | tail -n 1)
[ -n "$command" ] || fail "the leaderboard prints no register command"
command=${command//FIXED.nii.gz/\"$out/scans/subject12.nii.gz\"}
command=${command//MOVING.nii.gz/\"$out/scans/atlas.nii.gz\"}
command=${command/-o OUT/-o \"$out/registered\"}
echo "$command"
bash -c "$command"

title "done, $((SECONDS - begin)) s after set-up"
echo "report:            $sweep/report.html"
echo "archive's picture: $out/demo.png"
echo "registered pair:   $(find "$out/registered" -type f | sort | tr '\n' ' ')"
