#!/usr/bin/env bash
# clang-format 14 (Debian 12) is the reference; other versions format a few constructs differently and are skipped.
. "$(dirname "$0")/common.sh"
version=$(clang-format --version 2>/dev/null | grep -oE '[0-9]+' | head -n 1 || true)
[ "$version" = 14 ] || { echo "needs clang-format 14, found ${version:-none}: skipped"; exit 77; }
while IFS= read -r hit; do finding "$hit"; done < <(
  sources '*.cc' '*.h' | xargs -P "$(nproc)" -n 20 clang-format --dry-run 2>&1 | grep -E 'warning:' | cut -d: -f1 | sort -u |
    sed 's/$/: run ".\/run format"/' || true)
finish
