#!/bin/bash
# Takes Apache ECharts, which draws the charts of report.html, out of a wheel of PyPI that carries it unchanged, and puts it
# into the prefix, once for all checkouts. Prints its path as the last line of standard output; nothing where it cannot be
# had: the report then has static charts. Everything else goes to standard error.
#   env/echarts.sh
# REGATTA_ECHARTS takes this file, or "off". Prefix: $REGATTA_PREFIX, else ~/.local/share/regatta.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${REGATTA_PREFIX:-$HOME/.local/share/regatta}
read -r package package_version _ version wanted < <(awk '$3 == "echarts"' "$here/versions.txt")
file=$prefix/echarts-$version/echarts.min.js

say() { echo "echarts: $*" >&2; }
give_up() { say "$*; report.html will have static charts"; exit 0; }
is_right() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$wanted" ]; }

if [ "${REGATTA_ECHARTS:-}" = off ]; then
  give_up "left out, as asked for"
elif [ -n "${REGATTA_ECHARTS:-}" ]; then
  is_right "$REGATTA_ECHARTS" || { say "$REGATTA_ECHARTS is not echarts.min.js of version $version (sha256 $wanted)"; exit 1; }
  realpath "$REGATTA_ECHARTS"
  exit 0
fi

mkdir -p "$prefix" || give_up "cannot make $prefix"
exec 9>"$prefix/.lock"
flock 9   # two checkouts may be set up at the same time
if is_right "$file"; then
  say "$version is in $(dirname "$file")"
else
  say "fetching $package $package_version, which has ECharts $version in it"
  python=$("$here/python.sh") || give_up "no Python to fetch it with"
  work=$(mktemp -d "$prefix/echarts-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  { "$python" -m venv "$work/venv" && "$work/venv/bin/python" -m pip download --quiet --no-input --disable-pip-version-check \
    --no-cache-dir --only-binary=:all: --no-deps --dest "$work" "$package==$package_version"; } >&2 ||
    give_up "$package $package_version could not be fetched"
  "$python" - "$work"/*.whl "/echarts@$version/dist/echarts.min.js" "$work/echarts.min.js" >&2 <<'PY' || give_up "the wheel could not be read"
import sys, zipfile
wheel, end, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, open(out, "wb") as file:
    name = next(name for name in archive.namelist() if name.endswith(end))
    file.write(archive.read(name))
PY
  is_right "$work/echarts.min.js" || give_up "echarts.min.js of $package $package_version has another checksum than $wanted"
  mkdir -p "$(dirname "$file")"
  mv "$work/echarts.min.js" "$file"
fi
echo "$file"
