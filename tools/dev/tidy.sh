#!/bin/bash
# clang-tidy 14 on the sources that changed since a commit, and for a changed header on the first source that includes
# it. Needs the preset `tidy` (configured here; nothing is built).
#   tools/dev/tidy.sh [--base COMMIT] [--minutes N] [CMAKE_OPTION...]
# --base: default the last tag, else 20 commits before the last. --minutes: no new source is begun after that many
# (default: no limit); those left out are named. Fails if clang-tidy finds a fault.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

base="" minutes=0
while [ $# -gt 0 ]; do
  case $1 in
    --base) [ $# -ge 2 ] || { echo "tidy: --base needs a commit" >&2; exit 2; }; base=$2; shift ;;
    --minutes) [ $# -ge 2 ] || { echo "tidy: --minutes needs a number" >&2; exit 2; }; minutes=$2; shift ;;
    -D*) break ;;
    *) echo "tidy: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift
done
[[ $minutes =~ ^[0-9]+$ ]] || { echo "tidy: --minutes: '$minutes', a whole number expected" >&2; exit 2; }
clang_tidy=$(command -v clang-tidy-14 || true)
[ -n "$clang_tidy" ] || { echo "SKIPPED: clang-tidy: no clang-tidy-14 on this machine"; exit 0; }
if [ -z "$base" ]; then
  base=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet HEAD~20 || git rev-list --max-parents=0 HEAD)
fi
git rev-parse --verify --quiet "$base^{commit}" >/dev/null || { echo "tidy: no commit '$base'" >&2; exit 2; }

mkdir -p build
cmake --preset tidy "$@" >build/tidy-configure.log 2>&1 || { tail -20 build/tidy-configure.log >&2; exit 1; }
known=$(mktemp)
trap 'rm -f "$known" "$known".*' EXIT
python3 -c 'import json, os, sys
for entry in json.load(open("build/tidy/compile_commands.json")):
    print(os.path.relpath(os.path.join(entry["directory"], entry["file"])))' | sort -u >"$known"

{
  while read -r path; do
    case $path in
      *.cpp) echo "$path" ;;
      *.hpp) name=${path#include/}; name=${name#src/}; name=${name#test/}
             git grep -lF "#include \"$name\"" -- '*.cpp' | grep -Fxf "$known" | head -1 || true ;;
    esac
  done < <(git diff --name-only --diff-filter=d "$base" -- '*.cpp' '*.hpp')
} | awk '!seen[$0]++' | grep -Fxf "$known" >"$known.wanted" || true
count=$(wc -l <"$known.wanted")
echo "tidy: $count sources since $(git rev-parse --short "$base")"

begun_at=$(date +%s)
export clang_tidy known minutes begun_at
examine() {
  if [ "$minutes" -gt 0 ] && [ $(($(date +%s) - begun_at)) -ge $((minutes * 60)) ]; then
    echo "$1" >>"$known.left"
  elif ! "$clang_tidy" -p build/tidy --quiet "$1" >"$known.$$" 2>/dev/null; then
    cat "$known.$$"
    echo "$1" >>"$known.bad"
  fi
}
export -f examine
# Each call writes at most a line to a list: appends of that size do not mix.
xargs -r -P 2 -I{} bash -c 'examine {}' <"$known.wanted"
if [ -s "$known.left" ]; then
  echo "tidy: $minutes minutes are over, $(wc -l <"$known.left") sources left out:"
  sort "$known.left"
fi
if [ -s "$known.bad" ]; then
  echo "tidy: faults in $(wc -l <"$known.bad") sources:" >&2
  sort "$known.bad" >&2
  exit 1
fi
