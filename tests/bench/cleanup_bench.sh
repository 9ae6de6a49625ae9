#!/usr/bin/env bash
# How long a dry run takes over 100 000 products, and how long it takes to let 10 000 go, beside a script that only renames,
# syncs and unlinks the same files. Options: see tests/bench/cleanup_bench.py.
cd "$(dirname "$0")/../.."
cmake --build --preset release --target made_up_stream >/dev/null
exec /usr/bin/python3 tests/bench/cleanup_bench.py "$@"
