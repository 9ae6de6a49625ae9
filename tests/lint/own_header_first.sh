#!/usr/bin/env bash
# A source includes its own header first, so that compiling the source proves that the header compiles alone.
. "$(dirname "$0")/common.sh"
while IFS= read -r header; do
  source=${header%.h}.cc
  [ -f "$source" ] || continue
  first=$(grep -m1 -E '^#include' "$source" | sed -E 's/#include [<"]([^>"]+)[>"].*/\1/')
  [ "$first" = "$header" ] || finding "$source: includes $first before its own header"
done < <(sources '*.h')
finish
