#!/usr/bin/env bash
# `./run bench sources`: sources in a full tile across RA 0 h found and measured (sources_bench.py), beside SExtractor and
# SEP. The tile, of 2500 sources with 30 pairs of neighbours, is simulated and imaged once into build/bench.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
contimg=build/release/bin/contimg
[ -x "$contimg" ] || { echo "sources_bench: no $contimg: ./run build" >&2; exit 1; }
echo "machine    $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
tile=build/bench/source_tile
if ! [ -e "$tile/im.image.fits" ]; then
  echo "simulating and imaging a tile into $tile, once (three minutes)"
  rm -rf "$tile" "$tile.making" && mkdir -p "$tile.making"
  pairs=$(/usr/bin/python3 - <<'PAIRS'
import math
import random

r = random.Random(4)
for _ in range(30):
    ra, dec = 2 * r.random() - 1, 16.1 + 2 * r.random() - 1
    flux = 10 ** r.uniform(-2, -0.8)
    other, away, angle = flux * r.uniform(0.3, 1), r.uniform(12, 50) / 3600, r.uniform(0, 2 * math.pi)
    beside = ra + away * math.sin(angle) / math.cos(math.radians(dec)), dec + away * math.cos(angle)
    print(f"--source {ra % 360:.7f},{dec:.7f},{flux:.6f} --source {beside[0] % 360:.7f},{beside[1]:.7f},{other:.6f}")
PAIRS
)
  # shellcheck disable=SC2086
  "$contimg" simulate --out "$tile.making" --quiet --transit 0,16.1 --channels 12 --random-sky 0.6 --max-sources 2500 --seed 5 \
    --radius 3.5 $pairs
  "$contimg" --log-level error convert "$tile.making"/*.hdf5 --out "$tile.making/x.ms" --no-durable >/dev/null
  /usr/bin/python3 -c 'import glob, json, sys
print("ra_deg,dec_deg,flux_jy,alpha")
for s in json.load(open(glob.glob(sys.argv[1] + "/truth_*.json")[0]))["sources"]:
    print("%.8f,%.8f,%.9f,%.5f" % (s[0] % 360, *s[1:]))' "$tile.making" >"$tile.making/sky.csv"
  "$contimg" --log-level error image "$tile.making/x.ms" --out "$tile.making/im" --no-durable --catalogue "$tile.making/sky.csv" >/dev/null
  rm -rf "$tile.making"/*.hdf5 "$tile.making/x.ms" "$tile.making"/im.{dirty,model,image.pbcor}.fits
  mv "$tile.making" "$tile"
fi
exec /usr/bin/python3 tests/bench/sources_bench.py "$contimg" "$tile" "$@"
