#!/usr/bin/env bash
# Every package that ./run installs to build has a reason in docs/dependencies.md, and the reverse.
. "$(dirname "$0")/common.sh"
listed=$(grep -vE '^(#|\[)' tools/packages.txt | tr ' ' '\n' | sed 's/@.*//' | grep . | sort -u)  # NAME@RELEASE
for package in $listed; do
  grep -q "\`$package\`" docs/dependencies.md || finding "docs/dependencies.md: no reason for $package"
done
while IFS= read -r package; do
  grep -qx "$package" <<<"$listed" || finding "docs/dependencies.md: $package is not in tools/packages.txt"
done < <(grep -oE '^\| `[a-z0-9.+-]+`' docs/dependencies.md | tr -d '|` ')
finish
