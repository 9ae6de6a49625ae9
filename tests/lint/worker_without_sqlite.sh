#!/usr/bin/env bash
# Arguments: the program of the worker alone, and contimg, which does link SQLite: what looks for it must find it there.
. "$(dirname "$0")/common.sh"
needs() { readelf -d "$1" | grep -iE 'NEEDED.*sqlite' || true; }
[ -n "$(needs "$2")" ] || finding "$2: expected to need SQLite"
[ -z "$(needs "$1")" ] || finding "$1: needs SQLite: $(needs "$1")"
! nm -C "$1" | grep -q 'contimg::state::' || finding "$1: holds code of contimg::state"
finish
