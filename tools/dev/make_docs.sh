#!/usr/bin/env bash
# Writes docs/cli.md from the programs' own tables; with --check only compares and fails where it differs.
#   tools/dev/make_docs.sh [--check] [BIN_DIR]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
check=no
if [ "${1:-}" = --check ]; then
  check=yes
  shift
fi
bin=${1:-build/release/bin}
made=$(mktemp)
trap 'rm -f "$made"' EXIT
for program in regatta regatta-launch regatta-engine; do
  "$bin/$program" --markdown >>"$made"
done
if [ "$check" = no ]; then
  cp "$made" docs/cli.md
elif ! diff -u docs/cli.md "$made"; then
  echo "docs/cli.md differs from the programs' own help: run tools/dev/make_docs.sh" >&2
  exit 1
fi
