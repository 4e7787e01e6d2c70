#!/bin/bash
# Sets up Regatta on Debian 12 or Ubuntu 24.04: system packages, LibTorch, build. Run it again at will.
usage() {
  cat <<'TEXT'
env/setup.sh [options]
  --cpu         the small CPU form of LibTorch
  --cuda        the full form of LibTorch (default where there is an NVIDIA driver, a working Slurm client or a site's
                profile: login nodes without a GPU need it for the nodes that have one)
  --no-kernels  without our CUDA kernels, which the full form gets otherwise: trainings on GPUs take LibTorch's operators
  --with-tests  also the tests, and the packages that only tests and checks use (env/packages-test.txt, env/python-test.txt)
  --no-build    stop before the build
  --help        this text
REGATTA_PREFIX   where LibTorch, nvcc and the tests' Python packages go, shared by all checkouts (default ~/.local/share/regatta)
REGATTA_LIBTORCH cuda or cpu, as --cuda and --cpu
REGATTA_KERNELS  off: as --no-kernels
REGATTA_NVCC     this nvcc, or pypi: the private one (default: a toolkit's that fits, else the private one; env/nvcc.sh)
REGATTA_ECHARTS  this echarts.min.js, or off: static charts in report.html (default: env/echarts.sh fetches it)
REGATTA_JOBS     compilers at a time (default: one a core, at most one for each 2 GiB of memory)
CMAKE_PREFIX_PATH  a LibTorch found there is used, and none is installed
TEXT
}
set -euo pipefail

form=${REGATTA_LIBTORCH:-} kernels=${REGATTA_KERNELS:-on} build=1 tests=0
while [ $# -gt 0 ]; do
  case $1 in
    --cpu) form=cpu ;;
    --cuda) form=cuda ;;
    --no-kernels) kernels=off ;;
    --with-tests) tests=1 ;;
    --no-build) build=0 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "setup: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."

begin=$SECONDS
lap=$SECONDS
say() { echo "setup: $*"; }
done_in() { say "$1: $((SECONDS - lap)) s"; lap=$SECONDS; }

find_cuda() {   # what makes this a machine for the full form, or nothing
  if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    echo "GPU, driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)"
  elif [ -e /proc/driver/nvidia/version ]; then
    echo "NVIDIA driver"
  elif command -v sinfo >/dev/null && timeout 20 sinfo -h >/dev/null 2>&1; then
    echo "a Slurm cluster"
  elif [ -n "${REGATTA_SITE:-}" ]; then
    echo "the profile of $REGATTA_SITE"
  fi
}

# One line of progress with the time left instead of a line per file; all lines are in build/release/build.log. On a
# terminal the line is overwritten, in a log there is one every 30 s. Warnings and errors are shown as they are.
show_progress() {
  local line now said=$SECONDS start=$SECONDS text
  while IFS= read -r line; do
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      now=$SECONDS
      text=$(progress_text "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" $((now - start)))
      if [ -t 1 ]; then
        printf '\r\033[K%s' "$text"
      elif [ $((now - said)) -ge 30 ]; then
        echo "$text"
        said=$now
      fi
    elif [[ $line != "ninja: no work to do." ]]; then
      [ ! -t 1 ] || printf '\r\033[K'
      printf '%s\n' "$line"
    fi
  done
  [ ! -t 1 ] || printf '\r\033[K'
}

progress_text() {   # done, total, seconds so far
  local left=""
  if [ "$3" -ge 10 ]; then
    left=$((($2 - $1) * $3 / $1))
    left=", about $([ $left -lt 90 ] && echo "$left s" || echo "$(((left + 30) / 60)) min") left"
  fi
  echo "setup: $1 of $2 steps built$left"
}

given_torch() {   # the folder of a LibTorch on CMAKE_PREFIX_PATH, or nothing
  local folder folders
  IFS=':;' read -r -a folders <<<"${CMAKE_PREFIX_PATH:-}"
  for folder in "${folders[@]}"; do
    if [ -e "$folder/include/ATen/core/Tensor.h" ]; then
      echo "$folder"
      return
    fi
  done
}

find_nvcc() {   # LibTorch's folder in; an nvcc for our kernels, off or none out
  local runtime major path=none
  # Beside the full form alone lie both the runtime and cuDNN; of others the summary of the configuration speaks.
  runtime=$(compgen -G "$1/../nvidia/*/lib/libcudart.so.*" | head -n 1 || true)
  major=${runtime##*.so.}
  if [ -z "$runtime" ] || [ ! -e "$1/../nvidia/cudnn" ]; then
    path=none
  elif [ "$kernels" = off ]; then
    path=off
    say "CUDA kernels are left out, as asked for" >&2
  elif ! path=$(env/nvcc.sh "${major%%.*}" | tail -n 1); then
    say "CUDA kernels are left out: no nvcc; trainings on GPUs will take LibTorch's operators" >&2
    path=none
  fi
  echo "$path"
}

env/packages.sh env/packages.txt
test_python=()
if [ "$tests" = 1 ]; then
  env/packages.sh --optional env/packages-test.txt
  test_python=("-DREGATTA_TEST_PYTHON=$(env/python-test.sh)")
fi
done_in packages

torch=$(given_torch)
if [ -n "$torch" ]; then
  say "LibTorch given by CMAKE_PREFIX_PATH: $torch"
else
  cuda=$(find_cuda)
  say "found ${cuda:-neither an NVIDIA driver nor a Slurm cluster nor a site profile}"
  if [ -z "$form" ]; then
    form=$([ -n "$cuda" ] && echo cuda || echo cpu)
  fi
  torch=$(env/libtorch.sh "$form" | tail -n 1)
fi
done_in LibTorch
nvcc=$(find_nvcc "$torch")
[ ! -x "$nvcc" ] || done_in nvcc

if [ "$build" = 1 ]; then
  jobs=$(awk -v cores="$(nproc)" '/^MemAvailable/ { n = int($2 / 2097152); print n < 1 ? 1 : n < cores ? n : cores }' /proc/meminfo)
  echarts=$(env/echarts.sh | tail -n 1)
  done_in ECharts
  stale=()
  if ! grep -qsxF "REGATTA_TORCH_ROOT:PATH=$torch" build/release/CMakeCache.txt; then
    stale=(-U 'REGATTA_TORCH_*' -U 'REGATTA_C10*' -U REGATTA_CUDA_INCLUDE)   # what was found of another LibTorch
  fi
  mkdir -p build/release
  cmake --preset release "${stale[@]}" "${test_python[@]}" "-DREGATTA_TORCH_ROOT=$torch" "-DREGATTA_NVCC=$nvcc" \
    "-DREGATTA_ECHARTS=${echarts:-off}" \
    >build/release/configure.log || { cat build/release/configure.log; exit 1; }
  sed -n '/-- regatta /,$p' build/release/configure.log | grep '^-- \(regatta\|  \)'
  done_in configuration
  target=$([ "$tests" = 1 ] && echo all || echo programs)
  cmake --build --preset release --parallel "${REGATTA_JOBS:-$jobs}" --target "$target" 2>&1 |
    tee build/release/build.log | show_progress
  done_in build
  say "programs in build/release/bin"
fi
say "all done in $((SECONDS - begin)) s"
