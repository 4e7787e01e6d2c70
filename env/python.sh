#!/bin/bash
# Prints the Python that makes the private environments of LibTorch and nvcc: $REGATTA_PYTHON, else the first fit one found.
set -euo pipefail

for python in ${REGATTA_PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11 python3.10}; do
  if "$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
    echo "$python"
    exit 0
  fi
done
echo "python: no Python 3.10 to 3.13 with venv and ensurepip found (Debian: python3-venv); REGATTA_PYTHON names another one" >&2
exit 1
