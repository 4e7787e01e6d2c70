#!/bin/bash
# Puts LibTorch, the C++ part of PyPI's torch wheel, into a private environment under the prefix, once for all
# checkouts, and prints its folder as the last line of standard output. Everything else goes to standard error.
#   env/libtorch.sh cuda|cpu
# Prefix: $REGATTA_PREFIX, else ~/.local/share/regatta. Python: $REGATTA_PYTHON, else the first fit one found.
set -euo pipefail

form=${1:-}
[ "$form" = cuda ] || [ "$form" = cpu ] || { echo "libtorch: give cuda or cpu, got '$form'" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${REGATTA_PREFIX:-$HOME/.local/share/regatta}
version=$(awk '$1 == "torch" { print $2 }' "$here/versions.txt")
folder=$prefix/torch-$version-$form
marker=$folder/regatta-complete

say() { echo "libtorch: $*" >&2; }
fail() { say "$*"; exit 1; }
site_packages() { echo "$folder"/lib/python3*/site-packages; }

# The wheel's files, as their own lists name them, with their sizes; then the libraries are loaded. Python writes a
# package's list last, so an interrupted installation has none.
check() {
  "$folder/bin/python" - "$(site_packages)" "$version" "$form" <<'PY'
import ctypes, csv, glob, os, sys
site, version, form = sys.argv[1:]
if not os.path.isfile(f"{site}/torch-{version}.dist-info/RECORD"):
    sys.exit("torch's list of files is missing")
for record in glob.glob(f"{site}/*.dist-info/RECORD"):
    for path, _, size in csv.reader(open(record, newline="")):
        if size and os.path.getsize(os.path.join(site, path)) != int(size):
            sys.exit(f"{path}: wrong size")
for name in ["c10", "torch_cpu"] + (["c10_cuda", "torch_cuda"] if form == "cuda" else []):
    ctypes.CDLL(f"{site}/torch/lib/lib{name}.so")
PY
}

mkdir -p "$prefix" || fail "cannot make $prefix; REGATTA_PREFIX names another folder"
exec 9>"$prefix/.lock"
flock 9   # two checkouts may be set up at the same time
if [ "$(cat "$marker" 2>/dev/null)" = "$version $form" ] && [ -d "$(site_packages)/torch/include" ]; then
  say "$version $form is in $folder"
elif [ -x "$folder/bin/python" ] && problem=$(check 2>&1); then
  say "$version $form found complete in $folder"
  echo "$version $form" >"$marker"
else
  [ ! -e "$folder" ] || say "$folder is not complete (${problem:-no Python in it}): made again"
  need_mib=$([ "$form" = cuda ] && echo 6000 || echo 2000)
  free_mib=$(df -Pm "$prefix" | awk 'NR == 2 { print $4 }')
  rm -rf "$folder"
  [ "$free_mib" -ge "$need_mib" ] || fail "$prefix: $free_mib MiB free, $need_mib needed; REGATTA_PREFIX names another folder"
  python=$("$here/python.sh")
  say "installing torch $version ($form) into $folder"
  "$python" -m venv "$folder" >&2
  mapfile -t pins < <(awk 'NF == 2 && $1 !~ /^#/ { print $1 "==" $2 }' "$here/versions.txt")
  if [ "$form" = cuda ]; then
    options=("torch==$version")
  else
    options=(--no-deps "${pins[@]}")
  fi
  "$folder/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-cache-dir \
    --only-binary=:all: "${options[@]}" >&2
  problem=$(check 2>&1) || fail "$folder is not usable: $problem"
  echo "$version $form" >"$marker"
fi
echo "$(site_packages)/torch"
