#!/bin/bash
# Formats the C++ sources in place, or with --check only names the files that differ (exit code 1).
#   tools/dev/format.sh [--check] [FILE...]      without files: everything under include, src, test and tools
# One major version of clang-format, since others break lines differently.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

wanted=14
check=0
if [ "${1:-}" = --check ]; then
  check=1
  shift
fi
program=$(command -v "clang-format-$wanted" || command -v clang-format || true)
[ -n "$program" ] || { echo "format: clang-format-$wanted is missing (env/packages-test.txt)" >&2; exit 1; }
version=$("$program" --version | sed -E 's/.*version ([0-9]+).*/\1/')
[ "$version" = "$wanted" ] || { echo "format: clang-format is version $version, $wanted is wanted" >&2; exit 1; }

if [ $# -gt 0 ]; then
  files=("$@")
  for file in "${files[@]}"; do
    case $file in *.hpp | *.cpp | *.cu | *.cuh) ;; *) echo "format: $file is no C++ or CUDA source" >&2; exit 2 ;; esac
  done
else
  mapfile -t files < <(find include src test tools \( -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) | sort)
fi
if [ "$check" = 0 ]; then
  "$program" -i "${files[@]}"
  echo "format: ${#files[@]} files formatted"
  exit 0
fi
different=0
for file in "${files[@]}"; do
  if ! "$program" "$file" | cmp -s "$file" -; then
    echo "format: $file differs; tools/dev/format.sh $file repairs it" >&2
    different=$((different + 1))
  fi
done
echo "format: $different of ${#files[@]} files differ"
[ "$different" = 0 ]
