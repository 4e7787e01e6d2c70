#!/bin/bash
# Installs the system packages of the given lists that are missing; says which. Needs root or sudo for that.
#   env/packages.sh [--optional] LIST...
# --optional: what cannot be installed is named and left out, and the exit code is 0.
set -euo pipefail

optional=0
if [ "${1:-}" = --optional ]; then
  optional=1
  shift
fi
[ $# -gt 0 ] || { echo "packages: give at least one list, for example env/packages.txt" >&2; exit 2; }

mapfile -t wanted < <(sed 's/#.*//' "$@" | awk 'NF { print $1 }')
if ! command -v dpkg-query >/dev/null; then
  echo "packages: not Debian or Ubuntu, nothing installed; needed, by their Debian names: ${wanted[*]}"
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all ${#wanted[@]} are installed"
  exit 0
fi
echo "packages: missing ${missing[*]}"

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null || ! { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    if [ "$optional" = 1 ]; then
      echo "packages: neither root nor sudo: continuing without them"
      exit 0
    fi
    echo "packages: neither root nor sudo; ask an administrator for:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

install() {
  # Slurm's packages would start daemons; policy-rc.d is left alone, so services start only where an init system runs.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
"${as_root[@]}" apt-get update -qq || echo "packages: apt-get update failed, trying with the lists at hand"
if [ "$optional" = 1 ]; then
  for package in "${missing[@]}"; do
    install "$package" || echo "packages: $package could not be installed: continuing without it"
  done
else
  install "${missing[@]}"
fi
echo "packages: done"
