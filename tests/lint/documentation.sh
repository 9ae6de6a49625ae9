#!/usr/bin/env bash
# Links between documents lead somewhere, and every module is described.
. "$(dirname "$0")/common.sh"
while IFS= read -r doc; do
  while IFS= read -r link; do
    target=${link%%#*}
    [ -z "$target" ] && continue
    [ -e "$(dirname "$doc")/$target" ] || finding "$doc: link to $link leads nowhere"
  done < <(grep -oE '\]\([^)]+\)' "$doc" | sed -E 's/^\]\(//; s/\)$//' | grep -vE '^(https?:|mailto:|#)' || true)
done < <(find . -name '*.md' -not -path './build/*' | sort)
for module in config state ingest convert calibrate image mosaic ops; do
  grep -q "\`$module/\`" docs/architecture.md || finding "docs/architecture.md: says nothing of $module/"
done
finish
