#!/usr/bin/env bash
# Every setting does something: its field is read somewhere outside config/ (paths: by Roots, which all programs call).
. "$(dirname "$0")/common.sh"
declare -A used
while IFS= read -r name; do used[$name]=1; done < <(
  grep -rhoE '(\.|->)[a-z][a-z0-9_]*' --include='*.cc' --include='*.h' state ingest convert calibrate image mosaic ops |
    sed -E 's/^(\.|->)//' | sort -u)
while IFS=' ' read -r section name; do
  [ "$section" = paths ] || [ -n "${used[$name]:-}" ] ||
    finding "config/settings.def: nothing reads $section.$name: a setting that does nothing is not offered"
done < <(grep -oE '^CONTIMG_(INTEGER|NUMBER|SWITCH|TEXT|CHOICE|TABLES) ?\([a-z_]+, [a-z0-9_]+' config/settings.def |
  sed -E 's/.*\(//; s/,//')
# A field's name may be that of another section's: the section itself is read too.
while IFS=' ' read -r type section; do
  [ "$section" = paths ] || grep -rqE "\b$type\b|(\.|->)$section\b" --include='*.cc' --include='*.h' \
    state ingest convert calibrate image mosaic ops ||
    finding "config/settings.def: nothing reads the section $section"
done < <(grep -oE '^CONTIMG_SECTION\([A-Za-z]+, [a-z_]+' config/settings.def | sed -E 's/.*\(//; s/,//')
finish
