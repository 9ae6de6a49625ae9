#!/usr/bin/env bash
# Every test source is built (its folder is one that CMake globs) and no test is switched off in silence.
. "$(dirname "$0")/common.sh"
while IFS= read -r file; do
  [[ $file =~ ^tests/(unit/(config|state|ingest|convert|calibrate|image|mosaic|ops|simulator)|integration|e2e)/[a-z0-9_]+_test\.cc$ ]] ||
    finding "$file: no CTest program builds this file"
done < <(find tests -name '*_test.cc' | sort)
while IFS= read -r hit; do finding "$hit: a disabled test"; done < <(grep -rn 'DISABLED_' tests --include='*_test.cc' || true)
finish
