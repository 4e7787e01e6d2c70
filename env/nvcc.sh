#!/bin/bash
# Finds an nvcc for our CUDA kernels and prints its path as the last line of standard output; all else goes to standard
# error. Taken is a toolkit's of that major version (CUDA_HOME, PATH, /usr/local/cuda) if it compiles, else PyPI's, put
# into a private environment under the prefix, once for all checkouts. Neither needs a GPU, a driver or root.
#   env/nvcc.sh [MAJOR]     CUDA's major version, LibTorch's; default: that of env/versions.txt
# REGATTA_NVCC takes this nvcc and no other, or "pypi". Prefix: $REGATTA_PREFIX, else ~/.local/share/regatta.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${REGATTA_PREFIX:-$HOME/.local/share/regatta}
version=$(awk '$1 == "nvidia-cuda-nvcc" { print $2 }' "$here/versions.txt")
major=${1:-${version%%.*}}
mapfile -t pins < <(awk '$3 == "nvcc" || $1 == "nvidia-cuda-runtime" { print $1 "==" $2 }' "$here/versions.txt")
folder=$prefix/nvcc-$version
marker=$folder/regatta-complete

say() { echo "nvcc: $*" >&2; }
fail() { say "$*"; exit 1; }
private_nvcc() { echo "$folder"/lib/python3*/site-packages/nvidia/cu*/bin/nvcc; }

fits() {   # whether a program is an nvcc of this major version that makes machine code of a small kernel
  [[ $("$1" --version 2>/dev/null) == *"release $major."* ]] || { echo "it is not of CUDA $major"; return 1; }
  local trial code=0
  trial=$(mktemp -d)
  cat >"$trial/trial.cu" <<'CU'
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <type_traits>
__global__ void twice(const __nv_bfloat16* from, float* to) {
  to[threadIdx.x] = 2.0f * __bfloat162float(from[threadIdx.x]);
}
void launch(const __nv_bfloat16* from, float* to) { twice<<<1, 32>>>(from, to); }
CU
  "$1" -std=c++20 -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a -c "$trial/trial.cu" \
    -o "$trial/trial.o" >"$trial/log" 2>&1 || { code=1; echo "it does not compile: $(head -n 1 "$trial/log")"; }
  rm -rf "$trial"
  return $code
}

if [ "${REGATTA_NVCC:-pypi}" != pypi ]; then
  problem=$(fits "$REGATTA_NVCC") || fail "$REGATTA_NVCC: $problem"
  echo "$REGATTA_NVCC"
  exit 0
elif [ -z "${REGATTA_NVCC:-}" ]; then
  mapfile -t toolkits < <(printf '%s\n' ${CUDA_HOME:+"$CUDA_HOME/bin/nvcc"} "$(command -v nvcc)" /usr/local/cuda/bin/nvcc |
    awk '!seen[$0]++')
  for found in "${toolkits[@]}"; do
    [ -x "$found" ] || continue
    if problem=$(fits "$found"); then
      say "the toolkit's $found"
      echo "$found"
      exit 0
    fi
    say "not $found: $problem"
  done
fi

[ "$major" = "${version%%.*}" ] || fail "no nvcc of CUDA $major found, and the one of env/versions.txt is $version"
mkdir -p "$prefix" || fail "cannot make $prefix; REGATTA_PREFIX names another folder"
exec 9>"$prefix/.lock"
flock 9   # two checkouts may be set up at the same time
if [ "$(cat "$marker" 2>/dev/null)" = "${pins[*]}" ] && problem=$(fits "$(private_nvcc)"); then
  say "$version is in $folder"
else
  [ ! -e "$folder" ] || say "$folder is not complete (${problem:-interrupted, or of other versions}): made again"
  free_mib=$(df -Pm "$prefix" | awk 'NR == 2 { print $4 }')
  rm -rf "$folder"
  [ "$free_mib" -ge 600 ] || fail "$prefix: $free_mib MiB free, 600 needed; REGATTA_PREFIX names another folder"
  python=$("$here/python.sh")
  say "installing nvcc $version into $folder"
  "$python" -m venv "$folder" >&2
  "$folder/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-cache-dir \
    --only-binary=:all: --no-deps "${pins[@]}" >&2
  problem=$(fits "$(private_nvcc)") || fail "$(private_nvcc): $problem"
  echo "${pins[*]}" >"$marker"
fi
private_nvcc
