# Shared by the lints: `sources PATTERN…` lists product and test sources (tracked or not, never below build/), `finding`
# prints one and remembers that there was one, `finish` ends the lint.
set -euo pipefail
findings=0
finding() { printf '%s\n' "$*"; findings=$((findings + 1)); }
finish() { [ "$findings" -eq 0 ] || { printf '%d findings\n' "$findings"; exit 1; }; }
sources() {
  local names=() pattern
  for pattern in "$@"; do names+=(-o -name "$pattern"); done
  find config state ingest convert calibrate image mosaic ops tests cmake tools -type f \( "${names[@]:1}" \) | sort
}
