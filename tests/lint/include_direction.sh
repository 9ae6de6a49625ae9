#!/usr/bin/env bash
# Who may include whom: arguments are "room=used,used…" as given to contimg_add_module() and contimg_add_room(). The
# longest room that a path begins with owns it. A room's sources may include the room itself, what it uses, and what
# lies below those; tests/simulator and tests/oracle see config alone.
. "$(dirname "$0")/common.sh"
declare -A uses=([tests/simulator]=config [tests/oracle]=config)
for rule in "$@"; do uses[${rule%%=*}]=${rule#*=}; done
[ ${#uses[@]} -ge 20 ] || finding "expected the rules of all modules and rooms, got: $*"
owner_of() {  # path; sets `owner`
  owner=$1
  while [[ $owner == */* ]]; do
    owner=${owner%/*}
    [ -z "${uses[$owner]+there}" ] || return 0
  done
  owner=
}
while IFS=: read -r file line text; do
  owner_of "$file"
  home=$owner
  [ -n "$home" ] || { finding "$file: belongs to no room: add one to CMakeLists.txt"; continue; }
  target=${text#*\"}
  target=${target%%\"*}
  [ -e "$target" ] || { finding "$file:$line: includes \"$target\", which is no path from the root"; continue; }
  owner_of "$target"
  allowed=
  IFS=, read -ra used <<<"$home,${uses[$home]}"
  for room in "${used[@]}"; do
    if [[ $owner == "$room" || $owner == "$room"/* ]]; then allowed=yes; break; fi
  done
  [ -n "$allowed" ] || finding "$file:$line: $home may not include $target"
done < <(grep -rnE '^ *# *include "' config state ingest convert calibrate image mosaic ops tests/simulator tests/oracle \
           --include='*.h' --include='*.cc' || true)
finish
