#!/usr/bin/env bash
# `./run bench pipeline`: see pipeline_bench.py, which does the work.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
exec /usr/bin/python3 "$here/pipeline_bench.py" --bin "$here/../../build/release/bin" "$@"
