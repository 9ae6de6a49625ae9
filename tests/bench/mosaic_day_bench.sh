#!/usr/bin/env bash
# `./run bench mosaic_day [OPTIONS]`: a sidereal day of full tiles, copies of one of `./run bench mosaic`, as a sequence of mosaics.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
tile=$(ls "${MOSAIC_TILES:-build/bench/mosaic_tiles}"/d16/*.image.fits 2>/dev/null | head -n 1)
[ -n "$tile" ] || { echo "mosaic_day: no tiles: ./run bench mosaic makes them" >&2; exit 1; }
exec /usr/bin/python3 tests/bench/mosaic_day_bench.py build/release/bin/contimg "${tile%.image.fits}" "$@"
