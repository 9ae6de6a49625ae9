#!/usr/bin/env bash
# `./run bench image [GOOGLE BENCHMARK OPTIONS]`: full noisy tiles as Measurement Sets in memory (tmpfs), imaged beside
# wsclean (image_bench.cc): one of 300 sources, and the same with a source of 15 Jy at its centre. They are simulated once
# into build/bench. CONTIMG_BENCH_MS names a set to take instead; --benchmark_filter=BM_Clean picks one benchmark.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
contimg=build/release/bin/contimg
[ -x "$contimg" ] || { echo "image_bench: no $contimg: ./run build" >&2; exit 1; }
echo "machine    $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
if [ -n "${CONTIMG_BENCH_MS:-}" ]; then
  exec build/release/bin/bench_image "$@"
fi
memory=$(mktemp -d /dev/shm/contimg-bench-XXXXXX)
trap 'rm -rf "$memory"' EXIT
# bench NAME [SIMULATE OPTIONS…]
bench() {
  local tile=build/bench/$1
  if ! compgen -G "$tile/*.hdf5" >/dev/null; then
    echo "simulating a full tile (2.2 GB) into $tile, once"
    rm -rf "$tile" "$tile.making" && mkdir -p build/bench
    "$contimg" simulate --out "$tile.making" --quiet --dec 54.6 --random-sky 5 --max-sources 300 --seed 11 "${@:2}"
    mv "$tile.making" "$tile"
  fi
  rm -rf "$memory/x.ms"
  CONTIMG_STAGING_DIR=$memory/staging "$contimg" --log-level error convert "$tile"/*.hdf5 --out "$memory/x.ms" --no-durable >/dev/null
  CONTIMG_BENCH_MS=$memory/x.ms build/release/bin/bench_image "${options[@]}"
}
options=("$@")
echo "sky        300 sources"
bench image_tile
echo "sky        300 sources and one of 15 Jy"
bench image_tile_bright --calibrator 15
