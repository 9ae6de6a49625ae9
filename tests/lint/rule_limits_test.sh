#!/usr/bin/env bash
# The lint of the rules' limits finds each digit that is put into a copy of the rules, and nothing in what is allowed.
set -euo pipefail
lint=$PWD/tests/lint/rule_limits.sh
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/ops/prometheus"
rules=$copy/ops/prometheus/contimg.rules.yml
original=$PWD/ops/prometheus/contimg.rules.yml
cd "$copy"
failed=0
try() {  # expression, what is found ("" for nothing)
  { cat "$original"; printf '      - alert: Added\n        expr: %s\n' "$1"; } >"$rules"
  local found
  found=$("$lint" || true)
  if [ -z "$2" ]; then
    [ -z "$found" ] || { echo "found in $1: $found"; failed=1; }
  else
    grep -qF "$2" <<<"$found" || { echo "not found in $1: $2"; failed=1; }
  fi
}
try 'contimg_x > 3600' 'compares with 3600:'
try 'contimg_x >= 2' 'compares with 2:'
try '0.25 < contimg_x' 'compares with 0.25:'
try 'contimg_x < 100e9' 'compares with 100e9:'
try 'contimg_x > .5' 'compares with .5:'
try 'contimg_x < -1' 'compares with -1:'
try 'contimg_x > (2)' 'compares with 2:'
try 'predict_linear(contimg_x[12h], 3 * 86400) < contimg_y' 'compares with 86400:'
try 'contimg_x{a="5"} > 0 and increase(contimg_x9{kind=~"a|3"}[1h]) > contimg:y:ratio_1h' ''
try 'contimg_x == 2 and contimg_x offset 6h > 0' ''
try '|' 'is not on the line of its key'
exit $failed
