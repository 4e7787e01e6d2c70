#!/bin/bash
# Checks and measurements on a machine that has a GPU and cannot build. It needs the checkout, LibTorch (of a Python
# package, or in REGATTA_TORCH_ROOT) and the bundle.
#   tools/dev/on_gpu.sh bundle FILE [BUILD]        here: programs and tests of BUILD (default build/gpu), stripped
#   tools/dev/on_gpu.sh run FILE OUT [PART...]     there: tests sanitizer bench demo register kills; default: all of them;
#                                                  group, on a machine with two GPUs
# What each part prints is in OUT/PART.txt, its figures in OUT/*.json. The exit code is 1 if a part failed.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
programs=(regatta regatta-engine regatta-launch regatta-demo-data test_train test_nn test_gpu_kernels bench_kernels)

fail() { echo "on_gpu: $*" >&2; exit 1; }

bundle() {   # FILE BUILD
  local file=$1 build=$2 program bytes
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  mkdir "$stage/bin"
  for program in "${programs[@]}"; do
    [ -x "$build/bin/$program" ] || fail "$build/bin/$program is missing: build it first"
    strip -o "$stage/bin/$program" "$build/bin/$program"
  done
  ctest --test-dir "$build" -L gpu --show-only=json-v1 | python3 -c '
import json, os, shlex, sys
for test in json.load(sys.stdin)["tests"]:
    command = [os.path.basename(test["command"][0])] + test["command"][1:]
    if command[0] in sys.argv[1:]:
        print(test["name"], shlex.join(command), sep="\t")
    else:
        print("left out:", test["name"], "is run by a script of the checkout", file=sys.stderr)' "${programs[@]}" > "$stage/tests.tsv"
  [ -s "$stage/tests.tsv" ] || fail "$build has no tests with the label gpu"
  tar -C "$stage" -cf - bin tests.tsv | xz -T0 -6 > "$file"
  bytes=$(stat -c %s "$file")
  [ "$bytes" -le $((48 << 20)) ] || fail "$file has $bytes bytes, more than 48 MiB"
  echo "$file: $bytes bytes, $(wc -l < "$stage/tests.tsv") tests"
}

torch_libraries() {
  local root=${REGATTA_TORCH_ROOT:-}
  root=${root:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')}
  echo "$root/lib$(find "$root/../nvidia" -maxdepth 2 -name lib -type d -printf ':%p' 2>/dev/null)"
}

part_tests() {   # what `ctest -L gpu` runs
  local name command failed=0
  while IFS=$'\t' read -r name command; do
    if (cd "$work" && eval "$command") > "$out/$name.txt" 2>&1; then
      echo "passed  $name  $(tail -n 2 "$out/$name.txt" | tr '\n' ' ')"
    else
      echo "FAILED  $name"; tail -n 40 "$out/$name.txt"; failed=1
    fi
  done < "$work/tests.tsv"
  return $failed
}

part_sanitizer() {   # every kernel test but the large ones, each in a process of its own
  local tool failed=0
  test_gpu_kernels --list-tests |   # long names continue in the next line, further to the right
    awk '/^    [^ ]/ { sub(/^ +/, ""); name = name " " $0; next } name { print name; name = "" } /^  [^ ]/ { name = substr($0, 3) }' |
    grep -v "full-size\|larger odd" > "$work/cases.txt"
  for tool in memcheck racecheck; do
    mkdir -p "$work/$tool"
    # shellcheck disable=SC2016
    nl -w1 -s' ' "$work/cases.txt" | sed 's/,/\\,/g' | tool=$tool work=$work xargs -P 10 -d '\n' -n 1 bash -c '
      number=${1%% *}; name=${1#* }
      timeout 400 compute-sanitizer --tool "$tool" --error-exitcode 9 test_gpu_kernels "$name" > "$work/$tool/$number" 2>&1
      echo "$? $name" > "$work/$tool/$number.rc"' - || true
    for rc in "$work/$tool"/[0-9]*.rc; do
      echo "$tool $(cat "$rc"): $(grep -h "ERROR SUMMARY\|RACECHECK SUMMARY\|assertions" "${rc%.rc}" | tr '\n' ' ')"
      case $(cat "$rc") in 0\ *) ;; *) failed=1; head -n 30 "${rc%.rc}" ;; esac
    done
  done
  return $failed
}

part_bench() {
  local model
  for model in voxelmorph-2 voxelmorph-1 voxelmorph-x2; do
    regatta bench step --model $model --backend both -o "$out/$model.json"
    regatta bench step --model $model --backend fast --sm 80 -o "$out/$model-sm80.json"
  done
  bench_kernels > "$out/kernels.jsonl"
}

part_demo() {   # the demo's sweep is killed and resumed; a second one is not, and must end with the same weights
  local result twin
  "$repository/tools/demo.sh" "$work/demo" --programs "$work/bin"
  cp "$work/demo/sweep/report.json" "$work/demo/sweep/report.html" "$out"
  regatta sweep "$work/demo/demo.json" --ranks "$(nvidia-smi -L | grep -c ^GPU)" -o "$work/demo/twin" > "$work/twin.txt" 2>&1
  for result in "$work"/demo/sweep/trials/*/result.json; do
    twin=${result/demo\/sweep/demo\/twin}
    if [ "$(grep weights_xxh3 "$result")" != "$(grep weights_xxh3 "$twin")" ]; then
      fail "$result: other weights than in the sweep that was not killed"
    fi
  done
  echo "the weights of all $(find "$work/demo/sweep/trials" -name result.json | wc -l) trials are those of a sweep that was not killed"
}

part_register() {   # a pair at 160x192x224 with weights of 200 steps: seconds in all, and of the network
  regatta-demo-data "$work/scans" brain
  python3 - "$work" <<'PYTHON'
import json, pathlib, sys
work = pathlib.Path(sys.argv[1])
dataset = json.loads((work / "scans/dataset.json").read_text())
dataset["preprocess"] = {**dataset.get("preprocess", {}), "spacing_mm": [1, 1, 1], "shape": [160, 192, 224]}
(work / "scans/large.json").write_text(json.dumps(dataset))
recipe = {"schema": 1, "data": {"archive": "large.h5"}, "model": {"name": "voxelmorph-2"},
          "losses": {"ncc": {}, "grad": {}}, "train": {"steps": 200},
          "validation": {"every_epochs": 1000, "metrics": ["dice", "folding"], "best": "dice"}}
(work / "large.recipe.json").write_text(json.dumps(recipe))
PYTHON
  regatta pack "$work/scans/large.json" -o "$work/large.h5"
  regatta train "$work/large.recipe.json" -o "$work/trained"
  for backend in auto reference; do
    echo "register, --backend $backend"
    time regatta register --model "$work/trained/best.safetensors" --moving "$work/scans/atlas.nii.gz" \
      --fixed "$work/scans/subject12.nii.gz" --backend $backend -o "$work/registered-$backend"
  done
}

part_kills() {   # trainings on the demo's population at 96x128x96, killed at random
  regatta-demo-data "$work/population" brain
  python3 - "$work/population" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
dataset = json.loads((folder / "dataset.json").read_text())
dataset["preprocess"] = {**dataset.get("preprocess", {}), "spacing_mm": [2, 2, 2], "shape": [96, 128, 96]}
(folder / "small.json").write_text(json.dumps(dataset))
PYTHON
  regatta pack "$work/population/small.json" -o "$work/small.h5"
  "$repository/test/faults/kills_on_gpu.py" "$work/small.h5" -o "$out/kills.json"
}

part_group() {   # one training on two GPUs, at 160x192x224
  regatta-demo-data "$work/scans" brain
  python3 - "$work/scans" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
dataset = json.loads((folder / "dataset.json").read_text())
dataset["preprocess"] = {**dataset.get("preprocess", {}), "spacing_mm": [1, 1, 1], "shape": [160, 192, 224]}
(folder / "large.json").write_text(json.dumps(dataset))
PYTHON
  regatta pack "$work/scans/large.json" -o "$work/large.h5"
  "$repository/test/faults/group_on_gpus.py" "$work/large.h5" -o "$out/group.json" --seconds "${REGATTA_GROUP_SECONDS:-480}"
}

run() {   # FILE OUT PART...
  local file=$1 part failed=0
  out=$2; shift 2
  mkdir -p "$out"
  work=$(mktemp -d)
  tar -xJf "$file" -C "$work"
  export PATH=$work/bin:$PATH LD_LIBRARY_PATH
  LD_LIBRARY_PATH=$(torch_libraries)
  [ $# -gt 0 ] || set -- tests sanitizer bench demo register kills
  for part in "$@"; do
    local begin=$SECONDS
    echo "=== $part"
    if (set -e; "part_$part") > "$out/$part.txt" 2>&1; then
      echo "$part: done, $((SECONDS - begin)) s"
    else
      echo "$part: FAILED, $((SECONDS - begin)) s"; failed=1
    fi
    tail -n 60 "$out/$part.txt"
  done
  rm -rf "$work"
  return $failed
}

case ${1:-} in
  bundle) [ $# -ge 2 ] || fail "bundle FILE [BUILD]"; bundle "$2" "${3:-$repository/build/gpu}" ;;
  run) [ $# -ge 3 ] || fail "run FILE OUT [PART...]"; shift; run "$@" ;;
  *) sed -n '2,6s/^# \?//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
