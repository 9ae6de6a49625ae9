#!/usr/bin/python3
"""A year at the full rate of a telescope through the planner and the purge of `contimg cleanup`.

100 000 groups with their 2.4 million products, as rows in real databases and as small files in memory, verified copies of
them on record (tests/month/made_up_stream.cc), and a clock that goes on by a day: the real program lets go what is a week
old (images: 90 days), and is killed at random. Some objects have a copy less than is asked for, some of these get it after
three weeks; some groups are given up, some products pinned, some made anew so that their copies do not count any more. At
the end:

  * every product is there, or was let go by policy: old enough, of a group that is done, not pinned, with as many verified
    copies as are asked for, or regenerable of what has them or is here
  * nothing that may go is here still
  * bytes on disk are those on record, nothing is half there, nothing was let go twice
  * with the settings as they come, not one file goes

    tests/year/year.py --bin build/release/bin [--groups 100000] [--step 280] [--scale 1] [--kills 100] [--seed 1] [--keep]

--step: groups between two cleanups; --scale: ages by which things leave, as a fraction of 7, 7 and 90 days.
77: the clock cannot be moved here. TMPDIR: where (default /dev/shm: 6 GB).
"""
import argparse
import contextlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from faulty_calls import FaultyCalls, library  # noqa: E402

GROUPS_A_DAY, DAY = 280, 86400
FIRST = 1759276800  # 2025-10-01T00:00:00
COPIES = 2
IMAGES = ["image.pbcor", "image", "residual", "model", "psf"]
DAYS = {"uvh5": 7, "science_ms": 7, **dict.fromkeys(IMAGES, 90)}


class Year:
    def __init__(self, args):
        self.args, self.random = args, random.Random(args.seed)
        self.bin = pathlib.Path(args.bin).resolve()
        shm = pathlib.Path("/dev/shm")
        where = os.environ.get("TMPDIR") or (shm if os.access(shm, os.W_OK) else None)
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-year-", dir=where))
        self.scratch, self.state = self.root / "scratch", self.root / "state"
        for folder in (self.scratch, self.state, self.root / "backups"):
            folder.mkdir()
        self.calls = FaultyCalls(self.root / "clock", [self.root / "nothing"], program="none", seed=args.seed)
        self.settings = self.root / "contimg.toml"
        self.settings.write_text(f'[paths]\nscratch_dir = "{self.scratch}"\nstate_dir = "{self.state}"\n')
        self.policy = ["--incoming-retention-days", 7 * args.scale, "--science-ms-retention-days", 7 * args.scale,
                       "--image-retention-days", 90 * args.scale]
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}, **self.calls.environment,
                            "CONTIMG_CONFIG": str(self.settings)}
        self.asked = {**self.environment, "CONTIMG_RETENTION_REQUIRE_SCIENCE_MS": "regenerable",
                      "CONTIMG_ARCHIVE_COPIES": str(COPIES), "CONTIMG_RETENTION_MAX_SHARE": "0.9",
                      "CONTIMG_ARCHIVE_REMOTES": '[{name = "remote-0", target = "/nowhere/0"}, '
                                                 '{name = "remote-1", target = "/nowhere/1"}]'}
        self.now, self.n_killed, self.pinned, self.anew = 0, 0, set(), set()
        self.took = {"making": 0.0, "cleanup": 0.0}
        self.longest, self.memory = 0.0, 0

    def at(self, groups):
        self.now = FIRST + groups * DAY / GROUPS_A_DAY + 500
        self.calls.control.realtime_ns = round((self.now - time.time()) * 1e9)

    def run(self, *words, environment, kill_within=None):
        """Seconds and memory (bytes) of a run to its end; with kill_within it may be killed and is then run again."""
        while True:
            began = time.monotonic()
            with open(self.root / "said", "wb") as said:
                process = subprocess.Popen([self.bin / "contimg", *map(str, words)], env=environment, stdout=said, stderr=said)
                if kill_within:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(self.random.random() * kill_within)
                    if process.poll() is None:
                        process.send_signal(signal.SIGKILL)
                        self.n_killed += 1
                    process.wait()
                    kill_within = None
                    continue
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise AssertionError(f"{words}: {process.returncode}\n{(self.root / 'said').read_text()[-3000:]}")
            return time.monotonic() - began, used.ru_maxrss * 1024

    @contextlib.contextmanager
    def products(self):
        database = sqlite3.connect(self.state / "products.sqlite3", timeout=60)
        try:
            with database:
                yield database
        finally:
            database.close()

    def troubles(self):
        """Of what is new: one product is pinned, one made anew. What had only been copied is verified after three weeks."""
        with self.products() as db:
            for number, path in db.execute("SELECT id, path FROM products WHERE created_at > ? AND kind IN ('uvh5', 'image') "
                                           "ORDER BY random() LIMIT 2", (self.now - self.args.step * DAY / GROUPS_A_DAY,)):
                if len(self.pinned) <= len(self.anew):
                    db.execute("INSERT OR REPLACE INTO pins VALUES (?, 'for the test', 'test', ?)", (number, self.now))
                    self.pinned.add(path)
                else:
                    db.execute("UPDATE products SET checksum = 'anew' WHERE id = ?", (number,))
                    self.anew.add(path)
            db.execute("UPDATE archives SET state = 'verified' WHERE state = 'copied' AND made_at < ?",
                       (self.now - 21 * DAY * self.args.scale,))

    def go(self):
        args, done, began = self.args, 0, time.monotonic()
        rounds = -(-args.groups // args.step)
        for number in range(rounds):
            n = min(args.step, args.groups - done)
            self.at(done + n)
            making = time.monotonic()
            subprocess.run([self.bin / "made_up_stream", self.scratch, self.state, str(done), str(n), str(args.seed), str(COPIES)],
                           check=True)
            done += n
            if self.random.random() < 0.2:
                self.troubles()
            self.took["making"] += time.monotonic() - making
            seconds, memory = self.run("cleanup", "--apply", *self.policy, environment=self.asked,
                                       kill_within=self.longest if self.random.random() < args.kills / rounds else None)
            self.took["cleanup"] += seconds
            self.longest, self.memory = max(self.longest, seconds), max(self.memory, memory)
            if number % max(rounds // 12, 7) == 0:
                print(f"{done} groups, the last cleanup took {seconds:.2f} s and {memory / 1e6:.0f} MB, killed "
                      f"{self.n_killed}, {time.monotonic() - began:.0f} s", flush=True)
        faults = self.check()
        dry = sorted(self.run("cleanup", *self.policy, environment=self.asked)[0] for _ in range(3))[1]
        n_files = sum(len(files) for _, _, files in os.walk(self.scratch))
        self.run("cleanup", "--apply", environment=self.environment)
        left = n_files - sum(len(files) for _, _, files in os.walk(self.scratch))
        if left:
            faults.append(f"with the settings as they come {left} files went")
        print(f"dry run {dry:.2f} s; cleanups {self.took['cleanup']:.0f} s, the longest {self.longest:.1f} s, at most "
              f"{self.memory / 1e6:.0f} MB; making {self.took['making']:.0f} s; all {time.monotonic() - began:.0f} s")
        for fault in faults[:30]:
            print("FAULT", fault)
        print(f"{len(faults)} faults")
        return 1 if faults else 0

    def check(self):
        faults, here_bytes = [], 0
        with self.products() as db:
            copies = dict(db.execute("""SELECT m.product_id, count(DISTINCT a.remote) FROM archive_members m JOIN archives a ON
                a.id = m.archive_id JOIN products p ON p.id = m.product_id WHERE a.state = 'verified' AND a.lossy = 0 AND
                m.checksum = p.checksum GROUP BY m.product_id"""))
            purges = {}
            for number, state, when in db.execute("SELECT product_id, state, at FROM purges WHERE state <> 'undone'"):
                purges.setdefault(number, []).append((state, when))
            freed = db.execute("SELECT coalesce(sum(bytes), 0) FROM purges WHERE state = 'removed'").fetchone()[0]
            done_at = dict(sqlite3.connect(self.state / "ingest.sqlite3").execute("SELECT id, updated_at FROM groups WHERE state = 'done'"))
            rows = {row[0]: row[1:] for row in db.execute("SELECT id, kind, path, group_id, status, size_bytes, created_at FROM products")}
            parents, imaged_at = {}, {}
            for child, parent in db.execute("SELECT child_id, parent_id FROM lineage"):
                parents.setdefault(child, []).append(parent)
                if rows[parent][0] == "science_ms" and rows[child][0] in IMAGES:
                    imaged_at[parent] = max(imaged_at.get(parent, 0), rows[child][5])

        def to_be_had(number):
            return rows[number][3] == "present" or copies.get(number, 0) > 0 or (
                number in parents and all(map(to_be_had, parents[number])))

        present, gone_bytes = set(), 0
        for number, (kind, path, group, status, size, created) in rows.items():
            since = done_at.get(group) if kind == "uvh5" else imaged_at.get(number) if kind == "science_ms" else created
            days = DAYS.get(kind, 1e9) * self.args.scale
            enough = copies.get(number, 0) >= COPIES
            regenerable = kind == "science_ms" and number in parents and all(map(to_be_had, parents[number]))
            may_go = group in done_at and path not in self.pinned and (enough or regenerable)
            if status == "present":
                present.add(path)
                here_bytes += size
                if may_go and self.now - since > days * DAY + 1:
                    faults.append(f"left behind, {(self.now - since) / DAY:.1f} days old: {path}")
                if number in purges:
                    faults.append(f"present, but let go: {path}")
                continue
            gone_bytes += size
            if not may_go:
                faults.append(f"{status}, and must not be: {copies.get(number, 0)} copies: {path}")
            ends = purges.get(number, [])
            if [state for state, _ in ends] != ["removed"]:
                faults.append(f"{status}, by {ends}: {path}")
            elif ends[0][1] - since < days * DAY - 1:
                faults.append(f"{status} after {(ends[0][1] - since) / DAY:.2f} days: {path}")
        if freed != gone_bytes:
            faults.append(f"purges say {freed} bytes, products {gone_bytes}")
        on_disk = 0
        for folder, folders, files in os.walk(self.scratch):
            faults += [f"half there: {folder}/{name}" for name in folders + files if ".purge-" in name]
            if folder in present:  # a Measurement Set or a table
                present.discard(folder)
                on_disk += sum(os.path.getsize(os.path.join(folder, name)) for name in files)
                continue
            for name in files:
                path = os.path.join(folder, name)
                on_disk += os.path.getsize(path)
                if path not in present:
                    faults.append(f"there, but not on record as present: {path}")
                present.discard(path)
        faults += [f"on record as present, but not there: {path}" for path in sorted(present)]
        if on_disk != here_bytes:
            faults.append(f"{on_disk} bytes on disk, {here_bytes} on record")
        short = sum(n < COPIES for n in copies.values())
        print(f"{self.args.groups} groups, {len(rows)} products, {len(purges)} let go, {here_bytes / 1e6:.1f} MB here; {short} "
              f"with a copy too few, {len(self.pinned)} pinned, {len(self.anew)} made anew, killed {self.n_killed} times")
        return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--groups", type=int, default=100000)
    parser.add_argument("--step", type=int, default=GROUPS_A_DAY)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    if library() is None:
        print("needs CONTIMG_FAULTY_CALLS")
        sys.exit(77)
    year = Year(args)
    try:
        sys.exit(year.go())
    finally:
        if args.keep:
            print("kept", year.root)
        else:
            shutil.rmtree(year.root, ignore_errors=True)


if __name__ == "__main__":
    main()
