#!/usr/bin/env bash
# The lint of include directions finds what it is there to find: one wrong include is put into each room of a copy of
# the sources, and each must be named. Arguments: as for include_direction.sh.
set -euo pipefail
lint=$PWD/tests/lint/include_direction.sh
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r config state ingest convert calibrate image mosaic ops "$copy"
mkdir -p "$copy/tests/unit"
cp -r tests/simulator tests/oracle tests/temporary_folder.h "$copy/tests"
cd "$copy"
rooms=(tests/simulator tests/oracle)
for rule in "$@"; do rooms+=("${rule%%=*}"); done
for room in "${rooms[@]}"; do
  # No room may include what belongs to tests; each but the last may not include the command line either.
  printf '#include "tests/temporary_folder.h"\n#include "ops/cli/program.h"\n' >"$room/wrong_include.cc"
done
found=$("$lint" "$@" || true)
failed=0
for room in "${rooms[@]}"; do
  for line in 1 2; do
    [ "$line" = 2 ] && [[ $room == ops/cli || $room == ops/bin ]] && continue
    grep -q "^$room/wrong_include.cc:$line: $room may not include" <<<"$found" ||
      { echo "$room: the wrong include of line $line was not found"; failed=1; }
  done
done
others=$(grep -v '/wrong_include.cc:' <<<"$found" | grep -v ' findings$' || true)
[ -z "$others" ] || { echo "found besides: $others"; failed=1; }
exit $failed
