#!/usr/bin/env bash
# Words and habits that do not belong in the sources.
. "$(dirname "$0")/common.sh"
while IFS= read -r hit; do finding "$hit"; done < <(
  sources '*.cc' '*.h' '*.cmake' CMakeLists.txt '*.sh' '*.py' | grep -v '^tests/lint/' |
    xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b|using namespace std\b' || true)
# Output of a library goes through Reporter or a logger; only the programs and tests print.
while IFS= read -r hit; do finding "$hit: prints from a library"; done < <(
  grep -rnE 'std::(cout|cerr)|\bprintf\(' config state ingest convert calibrate image mosaic --include='*.cc' --include='*.h' |
    grep -vE 'snprintf|fprintf\(file' || true)
while IFS= read -r header; do
  head -n 12 "$header" | grep -qE '^ ?(//|/\*|\*)' || finding "$header: opens without saying what it is"
  # Highway's -inl.h are included once for each instruction set.
  grep -qE '#pragma once|HWY_TARGET_TOGGLE' "$header" || finding "$header: lacks #pragma once"
done < <(sources '*.h')
while IFS= read -r file; do
  lines=$(wc -l <"$file")
  [ "$lines" -le 800 ] || finding "$file: $lines lines; split it"
done < <(sources '*.cc' '*.h')
finish
