#!/usr/bin/env bash
# Who may include whom: arguments are "module=used,used…" as given to contimg_add_module(). A module's sources may
# include themselves and what they use; nothing includes ops; tests/simulator and tests/oracle see config alone.
. "$(dirname "$0")/common.sh"
declare -A uses
modules=()
for rule in "$@"; do
  module=${rule%%=*}
  modules+=("$module")
  uses[$module]=",${rule#*=},$module,"
done
[ ${#modules[@]} -ge 8 ] || finding "expected the rules of eight modules, got: $*"
uses[tests/simulator]=",config,tests/simulator,"
uses[tests/oracle]=",config,tests/oracle,"
for home in "${!uses[@]}"; do
  while IFS=: read -r file line text; do
    target=$(sed -E 's/.*"([^"]+)".*/\1/' <<<"$text")
    owner=${target%%/*}
    [ "$owner" = tests ] && owner=$(cut -d/ -f1,2 <<<"$target")
    [ -e "$target" ] || { finding "$file:$line: includes \"$target\", which is no path from the root"; continue; }
    # `contimg simulate` and `contimg demo` are made of the simulator.
    [ "$home" = ops ] && [ "$owner" = tests/simulator ] && continue
    [[ ${uses[$home]} == *",$owner,"* ]] || finding "$file:$line: $home may not include $target"
  done < <(grep -rnE '^ *# *include "' "$home" --include='*.h' --include='*.cc' || true)
done
finish
