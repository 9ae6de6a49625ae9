#!/usr/bin/python3
"""How long `contimg cleanup` takes over many products, and how long it takes to let them go, beside a script that only
renames, syncs and unlinks the same files one by one.

    tests/bench/cleanup_bench.py [--groups 4200] [--purge 10000] [--folder build/bench]
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

BIN = pathlib.Path("build/release/bin").resolve()


def seconds(words, environment):
    began = time.monotonic()
    done = subprocess.run([str(word) for word in words], env=environment, capture_output=True, text=True, check=True)
    return time.monotonic() - began, done.stdout


def script(paths):
    """What can be done least: renamed to a hidden name, the folder synced, unlinked."""
    began = time.monotonic()
    for path in paths:
        folder, name = os.path.split(path)
        hidden = os.path.join(folder, "." + name + ".going")
        os.rename(path, hidden)
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        os.unlink(hidden)
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--groups", type=int, default=4200, help="24 products each")
    parser.add_argument("--purge", type=int, default=10000)
    parser.add_argument("--folder", default="build/bench")
    args = parser.parse_args()
    pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
    root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-cleanup-bench-", dir=args.folder)).resolve()
    try:
        scratch, state = root / "scratch", root / "state"
        state.mkdir()
        scratch.mkdir()
        first = int((time.time() - 1759276800) / 86400 * 280) - args.groups - 20
        subprocess.run([BIN / "made_up_stream", scratch, state, str(first), str(args.groups), "1"], check=True)
        environment = {**os.environ, "CONTIMG_SCRATCH_DIR": str(scratch), "CONTIMG_STATE_DIR": str(state),
                       "CONTIMG_RETENTION_REQUIRE": "none", "CONTIMG_RETENTION_MAX_SHARE": "1"}
        policy = ["cleanup", "--incoming-retention-days", "0.01"]
        dry = []
        for _ in range(3):
            took, out = seconds([BIN / "contimg", *policy, "--json"], environment)
            dry.append(took)
        plan = json.loads(out)
        incoming = [action["path"] for action in plan["actions"]]
        went, out = seconds([BIN / "contimg", *policy, "--limit", args.purge, "--apply", "--json", "--class", "incoming"], environment)
        removed = json.loads(out)["removed"]["items"]
        peer = script([path for path in incoming if os.path.exists(path)][:removed])
        print(f"products   {args.groups * 24}, {len(incoming)} of which may go")
        print(f"dry run    {sorted(dry)[1]:.2f} s (median of 3)")
        print(f"purge      {went:.2f} s for {removed}, on record; the script {peer:.2f} s for as many, unrecorded; ratio {went / peer:.2f}")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
