#!/usr/bin/env bash
# Nothing ends or holds up the daemon's loop:
#  - the product (its commands aside) calls no form of std::filesystem that throws: those errors are of no kind of ours;
#  - the rooms of the loop never sleep;
#  - nothing that contimg-stream is made of opens a table with casacore, which crashes on damaged ones.
. "$(dirname "$0")/common.sh"

# ---- forms that throw ----
calls='exists|is_\w+|file_size|(?:recursive_)?directory_iterator|remove|remove_all|rename|create_\w+|absolute|canonical'
calls+='|weakly_canonical|relative|proximate|status|symlink_status|last_write_time|read_symlink|copy\w*|space|current_path'
calls+='|equivalent|resize_file|hard_link_count|permissions|temp_directory_path'
call="\\b(?:std::filesystem|fs)::(?:$calls)(?:\\s+\\w+)?\\s*(\\((?:[^()]++|(?1))*\\))"
while IFS= read -r file; do
  codes=$(grep -oP 'std::error_code&?\s+\K\w+(, *\w+)*' "$file" | tr ',' '\n' | tr -d ' ' | sort -u | paste -sd '|' || true)
  while IFS= read -r -d '' hit; do
    hit=$(tr '\n' ' ' <<<"$hit" | tr -s ' ')
    [ -n "$codes" ] && grep -qE ", *($codes) *\\) *$" <<<"$hit" && continue
    finding "$file: throws std::filesystem's own error: ${hit% } (config/os.h has Exists, IsDirectory, List…)"
  done < <(grep -zoP "$call" "$file" || true)
  while IFS= read -r hit; do
    finding "$file:$hit: the step of this loop throws std::filesystem's own error (config/os.h has List and FilesBelow)"
  done < <(grep -noP 'for \([^;)]*: *(std::filesystem|fs)::(recursive_)?directory_iterator\b.*' "$file" || true)
  while IFS= read -r hit; do
    finding "$file:$hit: throws std::filesystem's own error"
  done < <(grep -noP '(\.|->)(is_regular_file|is_directory|is_symlink|file_size|last_write_time)\(\)' "$file" || true)
done < <(grep -rlP "\b(?:std::filesystem|fs)::(?:$calls)\b|(\.|->)(?:$calls)\(\)" config state ingest convert calibrate image \
           mosaic ops --include='*.cc' --include='*.h' --exclude-dir=cli | sort)

# ---- waiting ----
while IFS= read -r hit; do finding "$hit: the loop does not sleep"; done < <(
  grep -rnE '\b(sleep_for|sleep_until|usleep|nanosleep|sleep) *\(' ops/daemon ops/records ops/calibration ops/metrics \
    --include='*.cc' --include='*.h' || true)

# ---- casacore: what is reached from the program by includes, a header standing for its source too ----
declare -A from=()
queue=(ops/bin/contimg_stream.cc)
from[${queue[0]}]=-
while [ ${#queue[@]} -gt 0 ]; do
  file=${queue[0]}
  queue=("${queue[@]:1}")
  next=$(grep -oP '^ *# *include "\K[^"]+' "$file" || true)
  source=${file%.h}.cc
  [ "$file" != "$source" ] && [ -e "$source" ] && next+=$'\n'$source
  for target in $next; do
    [ -e "$target" ] && [ -z "${from[$target]+seen}" ] || continue
    from[$target]=$file
    queue+=("$target")
    [[ $target == */casacore/* ]] || continue
    way=$target
    at=$file
    while [ "$at" != - ]; do
      way="$at > $way"
      at=${from[$at]}
    done
    finding "contimg-stream reaches casacore: $way"
  done
done
[ ${#from[@]} -gt 100 ] || finding "contimg-stream is made of ${#from[@]} files only: its includes were not followed"
finish
