#!/bin/bash
# All tests that need no GPU, with all set-up. Arguments go to ctest, for example -R sweep or -L unit.
# JUnit output: build/release/junit.xml. Skipped tests are named before ctest's own closing lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

env/setup.sh --with-tests

# ctest's closing lines, from "N% tests passed" on, are held back until the log with the skipped tests is complete.
set +e
ctest --preset release --no-tests=error --output-junit junit.xml "$@" 2>&1 | {
  closing=()
  while IFS= read -r line; do
    if [ ${#closing[@]} -gt 0 ] || [[ $line =~ ^[0-9]+%\ tests\ passed ]]; then
      closing+=("$line")
    else
      printf '%s\n' "$line"
    fi
  done
  log=build/release/Testing/Temporary/LastTest.log
  skipped=$(grep -ao '^SKIPPED: .*' "$log" 2>/dev/null | sort -u)
  printf '%s skipped tests or parts of tests%s\n' "$(grep -c . <<<"$skipped")" "${skipped:+:}"
  [ -z "$skipped" ] || printf '%s\n' "$skipped"
  [ ${#closing[@]} -eq 0 ] || printf '%s\n' "${closing[@]}"
}
exit "${PIPESTATUS[0]}"
