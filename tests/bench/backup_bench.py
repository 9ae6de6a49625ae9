#!/usr/bin/python3
"""How long a backup of a large state takes, and how long commits wait meanwhile.

A state as contimg-stream makes it gets a trail of events and products of --gigabytes in all; then `contimg backup` runs
while another process commits to the queue as the service does (one row, synchronous = FULL, every 20 ms).

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/bench/backup_bench.py [--gigabytes 1.2]
"""
import argparse
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

BIN = pathlib.Path(os.environ.get("CONTIMG_BIN_DIR", "build/release/bin")).resolve()


def make_state(root):
    environment = {**os.environ, "CONTIMG_STATE_DIR": str(root / "state"), "CONTIMG_SCRATCH_DIR": str(root / "scratch"),
                   "CONTIMG_STAGING_DIR": str(root / "staging"), "CONTIMG_HTTP_ENABLED": "false"}
    for name in ("state", "scratch", "scratch/incoming"):
        (root / name).mkdir()
    process = subprocess.Popen([BIN / "contimg-stream"], env=environment, stderr=subprocess.DEVNULL)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    return environment


def fill(root, gigabytes):
    """Events and products with texts that are all different, half the bytes each."""
    ingest = sqlite3.connect(root / "state/ingest.sqlite3")
    products = sqlite3.connect(root / "state/products.sqlite3")
    stamp = "2025-10-13T13:28:03"
    n = 0
    while sum(f.stat().st_size for f in (root / "state").glob("*.sqlite3")) < gigabytes * 1e9:
        rows = [(n + i, os.urandom(80).hex()) for i in range(50000)]
        n += len(rows)
        with ingest:
            ingest.executemany("INSERT INTO events (at, group_id, kind, from_state, to_state, actor, detail) "
                               f"VALUES (?1, '{stamp}', 'state', '', '', 'test', ?2)", rows)
        with products:
            products.executemany(
                "INSERT INTO products (kind, path, group_id, start_mjd, end_mjd, size_bytes, checksum, qa_json, qa_grade,"
                " status, archive_path, created_at, updated_at) VALUES ('image', '/stage/images/' || ?2, '" + stamp +
                "', 60000 + ?1 * 1e-4, 60000 + ?1 * 1e-4, 1000, ?2, '{}', 'A', 'present', '', ?1, ?1)", rows)
        for each in (ingest, products):
            each.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sum(f.stat().st_size for f in (root / "state").glob("*.sqlite3"))


class Committer(threading.Thread):
    def __init__(self, database):
        super().__init__()
        self.database, self.delays, self.done = database, [], threading.Event()

    def run(self):
        connection = sqlite3.connect(self.database, isolation_level=None, timeout=30)
        connection.execute("PRAGMA synchronous = FULL")
        while not self.done.is_set():
            start = time.monotonic()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO events (at, group_id, kind, from_state, to_state, actor, detail) "
                               "VALUES (1, '', 'state', '', '', 'bench', 'x')")
            connection.execute("COMMIT")
            self.delays.append(time.monotonic() - start)
            time.sleep(0.02)


def measured(database, work):
    committer = Committer(database)
    committer.start()
    start = time.monotonic()
    work()
    seconds = time.monotonic() - start
    committer.done.set()
    committer.join()
    delays = sorted(committer.delays)
    return seconds, delays[len(delays) // 2], delays[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=1.2)
    parser.add_argument("--folder", default=None)
    args = parser.parse_args()
    root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-backup-bench-", dir=args.folder))
    try:
        environment = make_state(root)
        n_bytes = fill(root, args.gigabytes)
        database = root / "state/ingest.sqlite3"
        _, usual, usual_worst = measured(database, lambda: time.sleep(10))

        def run(*words):
            subprocess.run([BIN / "contimg", *words], env=environment, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

        seconds, median, worst = measured(database, lambda: run("backup"))
        print(f"{n_bytes / 1e9:.2f} GB of databases: backup {seconds:.1f} s")
        print(f"a commit takes {usual * 1e3:.1f} ms (longest {usual_worst * 1e3:.0f} ms); "
              f"meanwhile {median * 1e3:.1f} ms (longest {worst * 1e3:.0f} ms)")
        seconds, _, _ = measured(database, lambda: run("backup", "verify"))
        print(f"backup verify {seconds:.1f} s")
        start = time.monotonic()
        run("restore-state", "latest", "--apply")
        print(f"restore-state {time.monotonic() - start:.1f} s")
        print("bounds: backup 60 s, longest commit 1 s")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
