#!/usr/bin/env bash
# Every test source is built (its folder is one that CMake globs), no test is switched off in silence, a suite's name says
# what it tests (it stands in one file), and the tests that documents name are there.
. "$(dirname "$0")/common.sh"
while IFS= read -r file; do
  [[ $file =~ ^tests/(unit/(config|state|ingest|convert|calibrate|image|mosaic|ops|simulator)|integration|e2e)/[a-z0-9_]+_test\.cc$ ]] ||
    finding "$file: no CTest program builds this file"
done < <(find tests -name '*_test.cc' | sort)
while IFS= read -r hit; do finding "$hit: a disabled test"; done < <(grep -rn 'DISABLED_' tests --include='*_test.cc' || true)
# FILE SUITE CASE
cases=$(find tests -name '*_test.cc' -exec perl -0777 -ne 'print "$ARGV $1 $2\n" while /^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)/mg' {} +)
while IFS= read -r suite; do
  finding "the suite $suite stands in several files:" $(awk -v suite="$suite" '$2 == suite {print $1}' <<<"$cases" | sort -u)
done < <(awk '{print $1, $2}' <<<"$cases" | sort -u | awk '{print $2}' | sort | uniq -d)
names=$(awk '{print $2 "." $3}' <<<"$cases")
while IFS= read -r name; do
  grep -q "^${name//…/.*}$" <<<"$names" || finding "docs/conventions.md: there is no test $name"
done < <(grep -oE '`[A-Za-z0-9]+\.[A-Za-z0-9]+…?`' docs/conventions.md | tr -d '`' | sort -u)
finish
