#!/usr/bin/env bash
# Rules of Prometheus compare with limits that the service exports, never with digits: in an expression no number stands
# but 0 (anything at all) and the states after ==. Durations and what stands in quotes are no limits.
. "$(dirname "$0")/common.sh"
n=0
while IFS= read -r line; do
  number=${line%%:*}
  expression=$(sed -E 's/^[0-9]+: *(- *)?expr: *//; s/"([^"\\]|\\.)*"//g; s/\[[^]]*\]//g; s/offset +[0-9a-z]+//g; s/[=!]= *-?[0-9.]+\b//g' <<<"$line")
  n=$((n + 1))
  [ -n "$(tr -d '|>+ -' <<<"$expression")" ] || finding "ops/prometheus/contimg.rules.yml:$number: the expression is not on the line of its key"
  while IFS= read -r digits; do
    finding "ops/prometheus/contimg.rules.yml:$number: compares with $digits: the service is to export this limit"
  done < <(grep -oP '(?<![\w:.])-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\b' <<<"$expression" | grep -vxE '0|' || true)
done < <(grep -nE '^ *(- *)?expr:' ops/prometheus/contimg.rules.yml || true)
[ "$n" -eq "$(grep -cE '^ *- (alert|record):' ops/prometheus/contimg.rules.yml)" ] || finding "$n expressions were read of another number of rules"
[ "$n" -gt 10 ] || finding "only $n rules were read"
finish
