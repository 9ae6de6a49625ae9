#!/bin/sh
# Builds the fuzz targets in BUILD and runs each for SECONDS from its committed seeds; new finds stay in BUILD.
# Usage: run_fuzz.sh BUILD SECONDS
set -eu
build=$1
seconds=$2
seeds=$(dirname "$0")/corpus
# The files that are fuzzed go to memory where there is some.
if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
cmake --build "$build" --target fuzz_chunk_index fuzz_uvh5
for name in chunk_index uvh5; do
  mkdir -p "$build/corpus/$name"
  echo "== fuzz_$name for $seconds s"
  # libhdf5 keeps free lists until exit, which the leak checker would report after an error inside the library.
  ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 "$build/bin/fuzz_$name" -max_len=8192 -max_total_time="$seconds" \
    -print_final_stats=1 -artifact_prefix="$build/" "$build/corpus/$name" "$seeds/$name"
done
