#!/usr/bin/env bash
# `./run bench calibrate`: flagging of a full tile on the disk (tmpfs) beside `aoflagger` with the same strategy on a copy
# of the same Measurement Set, then the solvers in memory (calibrate_bench.cc). CONTIMG_BENCH_TILE names a folder with the
# subbands of one group; by default a tile is simulated once into build/bench.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
contimg=build/release/bin/contimg
die() { printf 'calibrate_bench: %s\n' "$*" >&2; exit 1; }
[ -x "$contimg" ] || die "no $contimg: ./run build"

tile=${CONTIMG_BENCH_TILE:-build/bench/tile}
if ! compgen -G "$tile/*.hdf5" >/dev/null; then
  [ -z "${CONTIMG_BENCH_TILE:-}" ] || die "$tile (CONTIMG_BENCH_TILE) holds no *.hdf5"
  echo "simulating a full tile (2.2 GB) into $tile, once"
  rm -rf "$tile" build/bench/tile.making && mkdir -p build/bench
  "$contimg" simulate --out build/bench/tile.making --quiet --gains 0.2,180 --source 106.4,16.1,2
  mv build/bench/tile.making "$tile"
fi
memory=$(mktemp -d /dev/shm/contimg-bench-XXXXXX)
trap 'rm -rf "$memory"' EXIT
seconds() { local start; start=$(date +%s.%N); "$@" >"$memory/out" 2>"$memory/err" || { cat "$memory/err" >&2; die "failed: $*"; }
            date +%s.%N | awk -v start="$start" '{printf "%.2f", $1 - start}'; }
field() { /usr/bin/python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); print(*(f"{eval(e):.3f}" for e in sys.argv[2:]))' "$memory/out" "$@"; }

echo "machine    $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
CONTIMG_STAGING_DIR=$memory/staging "$contimg" --log-level error convert "$tile"/*.hdf5 --out "$memory/x.ms" --no-durable >/dev/null
echo "tile       $(du -sh --apparent-size "$memory/x.ms" | cut -f 1), $tile"
seconds "$contimg" --log-level error flag --dry-run --json "$memory/x.ms" >/dev/null  # warms up
wall=$(seconds "$contimg" --log-level error flag --json "$memory/x.ms")
read -r read flag write percent < <(field 'r["seconds"]["read"]' 'r["seconds"]["flag"]' 'r["seconds"]["write"]' '100*r["fraction"]')
echo "contimg    $wall s: read $read, flag $flag, write $write; $percent % flagged"
if command -v aoflagger >/dev/null; then
  rm -rf "$memory/x.ms"  # afresh: the flags above would help
  CONTIMG_STAGING_DIR=$memory/staging "$contimg" --log-level error convert "$tile"/*.hdf5 --out "$memory/x.ms" --no-durable >/dev/null
  "$contimg" flag --print-strategy >"$memory/strategy.lua"
  wall=$(seconds aoflagger -j "$(nproc)" -strategy "$memory/strategy.lua" "$memory/x.ms")
  echo "aoflagger  $wall s: $(aoflagger --version 2>&1 | grep -oE '[0-9]+\.[0-9.]+' | head -n 1), the same strategy, the same set"
else
  echo "aoflagger  is not installed"
fi
rm -rf "$memory"/*
build/release/bin/bench_calibrate "$@"
