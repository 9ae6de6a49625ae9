#!/usr/bin/env bash
# `./run bench image [GOOGLE BENCHMARK OPTIONS]`: a full noisy tile of 300 sources as a Measurement Set in memory (tmpfs),
# imaged beside wsclean (image_bench.cc). CONTIMG_BENCH_MS names another set; by default the tile is simulated once into
# build/bench. --benchmark_filter=BM_Clean picks one.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
contimg=build/release/bin/contimg
[ -x "$contimg" ] || { echo "image_bench: no $contimg: ./run build" >&2; exit 1; }
echo "machine    $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
if [ -z "${CONTIMG_BENCH_MS:-}" ]; then
  tile=build/bench/image_tile
  if ! compgen -G "$tile/*.hdf5" >/dev/null; then
    echo "simulating a full tile (2.2 GB) into $tile, once"
    rm -rf "$tile" build/bench/image_tile.making && mkdir -p build/bench
    "$contimg" simulate --out build/bench/image_tile.making --quiet --dec 54.6 --random-sky 5 --max-sources 300 --seed 11
    mv build/bench/image_tile.making "$tile"
  fi
  memory=$(mktemp -d /dev/shm/contimg-bench-XXXXXX)
  trap 'rm -rf "$memory"' EXIT
  CONTIMG_STAGING_DIR=$memory/staging "$contimg" --log-level error convert "$tile"/*.hdf5 --out "$memory/x.ms" --no-durable >/dev/null
  export CONTIMG_BENCH_MS=$memory/x.ms
fi
build/release/bin/bench_image "$@"
