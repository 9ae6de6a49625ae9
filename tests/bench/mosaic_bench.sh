#!/usr/bin/env bash
# `./run bench mosaic`: full tiles across RA 0 h at dec 16, 54, 72 and 85 co-added (mosaic_bench.py), beside SWarp and python3-reproject.
# The tiles, of 12 channels a subband and 2500 sources, are simulated and imaged once into build/bench (half an hour, 6 GB).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
contimg=build/release/bin/contimg
[ -x "$contimg" ] || { echo "mosaic_bench: no $contimg: ./run build" >&2; exit 1; }
echo "machine    $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
tiles=${CONTIMG_MOSAIC_TILES:-build/bench/mosaic_tiles}
make_tiles() {  # name, right ascension and declination of the first tile, tiles
  [ ! -e "$tiles/$1" ] || return 0
  local making=$tiles/$1.making stamp
  echo "simulating and imaging $4 tiles into $tiles/$1, once"
  rm -rf "$making" && mkdir -p "$making"
  "$contimg" simulate --out "$making/in" --truth "$making" --quiet --transit "$2,$3" --tiles "$4" --channels 12 --random-sky 0.6 \
    --max-sources 2500 --seed 5 --radius 3.5
  for stamp in $(find "$making/in" -name '*_sb00.hdf5' -printf '%f\n' | sed 's/_sb00.hdf5//' | sort); do
    "$contimg" --log-level error convert "$making/in/$stamp"_sb*.hdf5 --out "$making/x.ms" --no-durable >/dev/null
    "$contimg" --log-level error image "$making/x.ms" --out "$making/$stamp" --no-durable >/dev/null
    rm -rf "$making/in/$stamp"_sb*.hdf5 "$making/x.ms" "$making/$stamp".{dirty,psf,model,image.pbcor}.fits
  done
  rm -rf "$making/in"
  mv "$making" "$tiles/$1"
}
make_tiles d16 357.0 16.1 6
make_tiles d54 357.9 54 3
make_tiles d72 356.5 72 3
make_tiles d85 345 85 3
exec /usr/bin/python3 tests/bench/mosaic_bench.py "$contimg" "$tiles" "$@"
