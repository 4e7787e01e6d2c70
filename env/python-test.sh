#!/bin/bash
# Puts the packages of env/python-test.txt into a private environment under the prefix, once for all checkouts, and prints
# its Python as the last line of standard output; python3 where that fails: the tests that want them are skipped by name.
# Those of env/python-interop.txt are tried after them, and left out where they do not install.
# Prefix: $REGATTA_PREFIX, else ~/.local/share/regatta. Everything else goes to standard error.
set -euo pipefail

list=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/python-test.txt
prefix=${REGATTA_PREFIX:-$HOME/.local/share/regatta}
folder=$prefix/python-test
say() { echo "python-test: $*" >&2; }

mkdir -p "$prefix"
exec 9>"$prefix/.lock"
flock 9   # two checkouts may be set up at the same time
if cmp -s "$list" "$folder/regatta-complete"; then
  say "its packages are in $folder"
else
  rm -rf "$folder"
  say "installing the packages of env/python-test.txt into $folder"
  if ! { python3 -m venv "$folder" && "$folder/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
    --no-cache-dir --only-binary=:all: -r "$list" && "$folder/bin/python" -c 'import nibabel, numpy, optuna, scipy, SimpleITK' &&
    cp "$list" "$folder/regatta-complete"; } >&2; then
    say "not installed: continuing without them"
    echo python3
    exit 0
  fi
fi
interop=${list%/*}/python-interop.txt
if ! cmp -s "$interop" "$folder/regatta-interop"; then
  if "$folder/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-cache-dir \
    --only-binary=:all: -c "$list" -r "$interop" >&2; then
    cp "$interop" "$folder/regatta-interop"
  else
    say "antspyx and picsl-greedy are not installed: continuing without them"
  fi
fi
echo "$folder/bin/python"
