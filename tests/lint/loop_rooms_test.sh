#!/usr/bin/env bash
# The lint of the loop finds what it is there to find, and nothing else: each wrong line is put into a copy of the
# sources, and each must be named.
set -euo pipefail
lint=$PWD/tests/lint/loop_rooms.sh
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r config state ingest convert calibrate image mosaic ops "$copy"
cd "$copy"
cat >ops/daemon/wrong.cc <<'END'
bool There(const fs::path& path) { return fs::exists(path); }
bool Folder() { return std::filesystem::is_directory(
    SomewhereElse("a", 1)); }
bool Known(const fs::path& path, std::error_code& error) { return fs::exists(path / "x", error); }
void Each(std::error_code& error) { for (const auto& entry : fs::directory_iterator("x", error)) Use(entry); }
bool File(const Entry& entry) { return entry.is_regular_file(); }
void Wait() { std::this_thread::sleep_for(std::chrono::seconds(1)); }
END
printf '#include "config/wrong_place.h"\n' >>ops/daemon/dispatcher.cc
printf '#pragma once\n' >config/wrong_place.h
printf '#include "calibrate/casacore/calibration_table.h"\n' >config/wrong_place.cc
found=$("$lint" || true)
failed=0
expect() { grep -qF "$1" <<<"$found" || { echo "not found: $1"; failed=1; }; }
expect "ops/daemon/wrong.cc: throws std::filesystem's own error: fs::exists(path) ("
expect "ops/daemon/wrong.cc: throws std::filesystem's own error: std::filesystem::is_directory( SomewhereElse(\"a\", 1)) ("
expect "ops/daemon/wrong.cc:5:for (const auto& entry : fs::directory_iterator"
expect "ops/daemon/wrong.cc:6:.is_regular_file()"
expect "ops/daemon/wrong.cc:7:"
expect "config/wrong_place.h > config/wrong_place.cc > calibrate/casacore/calibration_table.h"
others=$(grep -vE '^ops/daemon/wrong.cc:|^contimg-stream reaches casacore: .*config/wrong_place|^[0-9]+ findings$' <<<"$found" || true)
[ -z "$others" ] || { echo "found besides: $others"; failed=1; }
grep -q 'path / "x"' <<<"$found" && { echo "a form with an error code was found"; failed=1; }
exit $failed
