#!/usr/bin/env bash
# `./run bench backup`: see backup_bench.py.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --build --preset release --target contimg-stream >/dev/null
exec /usr/bin/python3 tests/bench/backup_bench.py "$@"
