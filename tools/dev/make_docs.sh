#!/usr/bin/env bash
# Writes docs/cli.md, docs/recipes.md and docs/models.md from the programs' own tables; with --check it only compares them.
#   tools/dev/make_docs.sh [--check] [BIN_DIR]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
check=no
if [ "${1:-}" = --check ]; then
  check=yes
  shift
fi
bin=${1:-build/release/bin}
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
for program in regatta regatta-launch regatta-engine; do
  "$bin/$program" --markdown >>"$made/cli.md"
done
for program in regatta regatta-engine; do
  "$bin/$program" --markdown-options >>"$made/recipes.md"
done
"$bin/regatta-engine" --markdown-models >"$made/models.md"
for page in cli.md recipes.md models.md; do
  if [ "$check" = no ]; then
    cp "$made/$page" "docs/$page"
  elif ! diff -u "docs/$page" "$made/$page"; then
    echo "docs/$page differs from the programs' own tables: run tools/dev/make_docs.sh" >&2
    exit 1
  fi
done
