#!/usr/bin/env bash
# `./run bench mosaic_scaling [OPTIONS]`: how mosaics grow with tiles, their size and declination, from one of the tiles of `./run bench mosaic`.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
tile=$(ls "${MOSAIC_TILES:-build/bench/mosaic_tiles}"/d16/*.image.fits 2>/dev/null | head -n 1)
[ -n "$tile" ] || { echo "mosaic_scaling: no tiles: ./run bench mosaic makes them" >&2; exit 1; }
exec /usr/bin/python3 tests/bench/mosaic_scaling_bench.py build/release/bin/contimg "${tile%.image.fits}" "$@"
