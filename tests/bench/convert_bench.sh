#!/usr/bin/env bash
# `./run bench convert [--runs N] [--no-cold]`: `contimg convert` on a full tile, beside a plain h5py + python3-casacore
# route that makes the same Measurement Set (convert_peer.py). Runs alternate and medians are printed. CONTIMG_BENCH_TILE
# names a folder with the subbands of one group; by default a tile is simulated once into build/bench.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
runs=3 cold=yes
while [ $# -gt 0 ]; do
  case $1 in
    --runs) runs=$2; shift 2 ;;
    --no-cold) cold=no; shift ;;
    *) echo "usage: convert_bench.sh [--runs N] [--no-cold]" >&2; exit 2 ;;
  esac
done
python=/usr/bin/python3 peer=tests/bench/convert_peer.py
build=build/release contimg=build/release/bin/contimg
die() { printf 'convert_bench: %s\n' "$*" >&2; exit 1; }

cache() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
[ -x "$contimg" ] || die "no $contimg: ./run build"
[ "$(cache CMAKE_BUILD_TYPE)" = Release ] && [ -z "$(cache CONTIMG_SANITIZE)" ] ||
  die "$build is a $(cache CMAKE_BUILD_TYPE) build with sanitizers '$(cache CONTIMG_SANITIZE)': figures are for Release builds"

tile=${CONTIMG_BENCH_TILE:-build/bench/tile}
if ! compgen -G "$tile/*.hdf5" >/dev/null; then
  [ -z "${CONTIMG_BENCH_TILE:-}" ] || die "$tile (CONTIMG_BENCH_TILE) holds no *.hdf5"
  echo "simulating a full tile (2.2 GB) into $tile, once"
  rm -rf "$tile" build/bench/tile.making && mkdir -p build/bench
  "$contimg" simulate --out build/bench/tile.making --quiet --gains 0.2,180 --source 106.4,16.1,2
  mv build/bench/tile.making "$tile"
fi
files=("$tile"/*.hdf5)
bytes=$(du -bc "${files[@]}" | tail -n 1 | cut -f 1)

memory=$(mktemp -d /dev/shm/contimg-bench-XXXXXX)
disk=build/bench/out-$$
log=$(mktemp -d)
trap 'rm -rf "$memory" "$disk" "$log"' EXIT
mkdir -p "$disk"
free=$(df -B1 --output=avail "$memory" | tail -n 1)
[ "$free" -gt $((bytes * 11 / 5)) ] || die "/dev/shm has $((free >> 20)) MiB free, $((bytes * 11 / 5 >> 20)) MiB are needed: two outputs"

echo "machine    $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo) GiB"
load=$(cut -d ' ' -f 1 /proc/loadavg)
echo "load       $(cut -d ' ' -f 1-3 /proc/loadavg) before"
echo "build      $(cache CMAKE_BUILD_TYPE), $("$contimg" --version)"
echo "input      ${#files[@]} files, $bytes bytes, $tile"
echo "disk       $(df --output=source,fstype build | tail -n 1)"

# name of the log, output, more options…: one run of contimg; its report and the measurement go to the log
ours() {
  local name=$1 out=$2; shift 2
  rm -rf "$out"
  "$python" "$peer" measure "$contimg" --log-level error convert --json --out "$out" "$@" "${files[@]}" >"$log/run" 2>"$log/err" ||
    { cat "$log/err" >&2; die "contimg convert failed"; }
  "$python" - "$log/run" >>"$log/$name" <<'PY'
import json, sys
text = open(sys.argv[1]).read().rstrip().rsplit("\n", 1)
report, measured = json.loads(text[0]), json.loads(text[1])
print(json.dumps({**measured, **report["seconds"], "output_bytes": report["output_bytes"]}))
PY
}
theirs() {
  rm -rf "$1"
  "$python" "$peer" measure "$python" "$peer" convert "$1" "${files[@]}" >"$log/run"
  "$python" - "$log/run" >>"$log/peer" <<'PY'
import json, sys
report, measured = [json.loads(line) for line in open(sys.argv[1])]
print(json.dumps({**measured, **report["seconds"]}))
PY
}

# Warm the page cache, and the memory that a virtual machine hands out slowly the first time; these runs do not count.
cat "${files[@]}" >/dev/null
ours warmup "$memory/ours.ms"
theirs "$memory/peer.ms"
echo "agreement  $("$python" "$peer" compare "$memory/ours.ms" "$memory/peer.ms")"
rm -f "$log/peer"
for ((i = 0; i < runs; i++)); do
  cat "${files[@]}" >/dev/null
  ours warm "$memory/ours.ms"
  rm -rf "$memory/ours.ms"
  theirs "$memory/peer.ms"
  rm -rf "$memory/peer.ms"
done
for ((i = 0; i < runs; i++)); do
  cat "${files[@]}" >/dev/null
  ours durable "$disk/ours.ms"
  rm -rf "$disk/ours.ms"
done
if [ "$cold" = yes ] && [ -w /proc/sys/vm/drop_caches ] && (echo 3 >/proc/sys/vm/drop_caches) 2>/dev/null; then
  for ((i = 0; i < runs; i++)); do
    sync; echo 3 >/proc/sys/vm/drop_caches
    "$python" "$peer" measure sh -c 'exec cat "$@" >/dev/null' sh "${files[@]}" >>"$log/disk"
    sync; echo 3 >/proc/sys/vm/drop_caches
    ours cold "$memory/ours.ms"
    rm -rf "$memory/ours.ms"
  done
else
  echo "cold       skipped: the page cache can only be dropped by root (or --no-cold was given)"
fi

"$python" - "$log" "$bytes" "$runs" <<'PY'
import json, os, statistics, sys
log, size, runs = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def load(name):
    path = os.path.join(log, name)
    if not os.path.exists(path):
        return None
    rows = [json.loads(line) for line in open(path)]
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}

def stages(row, names):
    return ", ".join(f"{name} {row[name]:.2f}" for name in names)

ours, peer, durable, cold, disk = (load(name) for name in ("warm", "peer", "durable", "cold", "disk"))
names = ("read", "write", "publish", "verify")
print(f"medians of {runs} runs, seconds")
print(f"contimg    {ours['wall']:.2f} wall, {ours['user'] + ours['system']:.2f} processor, peak "
      f"{ours['peak_bytes'] / 2**30:.2f} GiB ({stages(ours, names)}); warm cache, {ours['output_bytes'] / 1e9:.2f} GB on tmpfs "
      "(memory too, not in the peak)")
print(f"peer       {peer['wall']:.2f} wall, {peer['user'] + peer['system']:.2f} processor, peak "
      f"{peer['peak_bytes'] / 2**30:.2f} GiB ({stages(peer, ('read', 'phase', 'write'))}); h5py + python3-casacore, warm cache, tmpfs")
print(f"ratio      {peer['wall'] / ours['wall']:.1f} in wall time, "
      f"{(peer['user'] + peer['system']) / (ours['user'] + ours['system']):.1f} in processor time")
print(f"on the disk {durable['wall']:.2f} wall in all, {durable['user'] + durable['system']:.2f} processor; write {durable['write']:.2f} "
      f"({durable['output_bytes'] / durable['write'] / 1e6:.0f} MB/s), sync and name {durable['publish']:.2f}")
if cold:
    print(f"cold       {cold['wall']:.2f} wall, {size / cold['wall'] / 1e6:.0f} MB/s of input; reading alone {cold['read']:.2f}; the disk "
          f"itself (cat, cold) {disk['wall']:.2f}, {size / disk['wall'] / 1e6:.0f} MB/s: "
          f"{100 * disk['wall'] / cold['wall']:.0f} % of its speed, reading alone {100 * disk['wall'] / cold['read']:.0f} %")
PY
if awk -v cores="$(nproc)" -v load="$load" 'BEGIN { exit !(load > cores / 2) }'; then
  echo "warning    the machine was busy before the start (load $load): do not quote these figures"
fi
