#!/usr/bin/env bash
# `./run bench image_scaling [OPTIONS]`: how imaging times grow with visibilities, pixels and sources.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
exec /usr/bin/python3 tests/bench/image_scaling_bench.py --bin build/release/bin "$@"
