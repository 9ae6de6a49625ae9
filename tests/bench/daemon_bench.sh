#!/usr/bin/env bash
# `./run bench daemon`: see daemon_bench.py.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
# The daemon stands beside contimg; `./run bench` has built only that.
cmake --build --preset release --target contimg-stream >/dev/null
exec /usr/bin/python3 tests/bench/daemon_bench.py "$@"
