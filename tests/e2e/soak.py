#!/usr/bin/python3
"""Soak of the daemon: simulated groups arrive shuffled and in bursts, some of them broken, while the daemon is killed
again and again. At the end every group must be in exactly the right state, every product present once and readable,
staging empty, and the audit trail without a gap.

    tests/e2e/soak.py --bin build/release/bin                       short form (24 groups, 5 kills)
    tests/e2e/soak.py --bin build/release/bin --groups 600 --kills 50
    tests/e2e/soak.py --bin build/release/bin --chaos               with system calls that fail, databases that are held
                                                                    by others and a clock that steps (chaos.py)

Exit status 0: all held; 1: something did not (each finding is printed); 2: wrong use.
"""
import argparse
import collections
import contextlib
import datetime
import json
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

from chaos import Chaos, library

# What may happen to a group, how often, and what must become of it.
FAULTS = {
    # name: (probability, final state, error kind)
    "corrupt": (0.010, "dead", "incomplete"),      # one file is garbage: quarantined
    "truncated": (0.010, "dead", "incomplete"),    # one file is cut: quarantined
    "missing": (0.010, "dead", "incomplete"),      # one subband never comes
    "wrong_band": (0.010, "dead", "bad_input"),    # one file holds another subband's frequencies
    "duplicate": (0.020, "done", None),            # one file comes twice under another stamp
    "rewritten": (0.020, "done", None),            # one file is sent again under its own name
    "conflict": (0.010, "held", None),             # one subband comes twice with other content
    "late": (0.020, "done", None),                 # one subband comes after the deadline
}


class Soak:
    def __init__(self, args):
        self.args = args
        self.random = random.Random(args.seed)
        self.root = pathlib.Path(args.workdir or tempfile.mkdtemp(prefix="contimg-soak-"))
        self.incoming = self.root / "scratch" / "incoming"
        self.staging = pathlib.Path("/dev/shm") / f"contimg-soak-{os.getpid()}"
        self.contimg = str(pathlib.Path(args.bin).resolve() / "contimg")
        self.stream = str(pathlib.Path(args.bin).resolve() / "contimg-stream")
        self.daemon = None
        self.kills = 0
        self.killed_backups = self.held_backups = 0
        self.largest_mb = 0
        self.findings = []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        self.environment.update({
            "CONTIMG_SCRATCH_DIR": str(self.root / "scratch"),
            "CONTIMG_STATE_DIR": str(self.root / "state"),
            "CONTIMG_STAGING_DIR": str(self.staging),
            "CONTIMG_HTTP_LISTEN": "127.0.0.1:0",
            "CONTIMG_INGEST_STABLE_S": "0.5",
            "CONTIMG_INGEST_DEADLINE_S": str(args.deadline),
            "CONTIMG_INGEST_QUARANTINE_AFTER_S": "3",
            "CONTIMG_INGEST_RESCAN_S": "5",
            "CONTIMG_QUEUE_BACKOFF_FIRST_S": "1",
            "CONTIMG_QUEUE_BACKOFF_LIMIT_S": "5",
            "CONTIMG_QUEUE_LEASE_S": "30",
            "CONTIMG_QUEUE_HEARTBEAT_S": "5",
            "CONTIMG_QUEUE_ORDER": "oldest",
            "CONTIMG_EXECUTOR_JOBS": "2",
            "CONTIMG_EXECUTOR_THREADS": "1",
            "CONTIMG_EXECUTOR_KILL_AFTER_S": "2",
            "CONTIMG_CONVERT_DURABLE": "false" if args.fast else "true",
            # A soak must run on whatever disk there is.
            "CONTIMG_DISK_WARN_USED_FRACTION": "0.999",
            "CONTIMG_DISK_CRITICAL_USED_FRACTION": "0.9999",
            "CONTIMG_DISK_WARN_FREE_BYTES": "1000000",
            "CONTIMG_DISK_CRITICAL_FREE_BYTES": "500000",
            "CONTIMG_IMAGE_ENABLED": "false",
            "CONTIMG_CALIBRATE_POLICY": "uncalibrated",
            "CONTIMG_FLAG_ENABLED": "false",
            # Backups all the time, of which few are kept.
            "CONTIMG_BACKUP_EVERY_H": "0.002",
            "CONTIMG_BACKUP_KEEP_DAYS": "0.0005",
        })
        self.chaos = None
        if args.chaos:
            (self.root / "state").mkdir(parents=True, exist_ok=True)
            self.chaos = Chaos(self.root, self.staging, args.seed)
        for name, value in (item.split("=", 1) for item in args.set):
            self.environment[name] = value

    def find(self, sentence):
        self.findings.append(sentence)
        print("FOUND:", sentence, flush=True)

    def run(self, *words):
        return subprocess.run([self.contimg, *words], env=self.environment, capture_output=True, text=True, check=False)

    # --- input ---------------------------------------------------------------------------------------------------
    def simulate(self):
        self.pool = self.root / "pool"
        other = self.root / "other"
        for folder, seed in ((self.pool, 1), (other, 2)):
            done = self.run("simulate", "--out", str(folder), "--truth", str(self.root), "--tiles",
                            str(self.args.groups), "--antennas", "4", "--integrations", "2", "--channels", "4",
                            "--quiet", "--seed", str(seed))
            if done.returncode != 0:
                sys.exit(f"simulate failed: {done.stderr}")
        by_stamp = collections.defaultdict(dict)
        for path in sorted(self.pool.glob("*_sb??.hdf5")):
            stamp, rest = path.name.split("_sb")
            by_stamp[stamp][int(rest[:2])] = path
        self.expected = {}
        deliveries = []  # (not before this fraction of the whole, how, source, name)
        self.withheld = []  # (source, name, group, state of the group at which it is sent)
        for group, (stamp, files) in enumerate(sorted(by_stamp.items())):
            fault = self.draw_fault(group)
            self.expected[stamp] = (FAULTS[fault][1:] if fault else ("done", None)) + (fault,)
            victim = self.random.randrange(16)
            start = group / len(by_stamp)
            for subband, path in files.items():
                at = start + self.random.random() * 0.02
                if subband == victim and fault == "missing":
                    continue
                if subband == victim and fault == "late":
                    self.withheld.append((path, path.name, stamp, "dead"))
                    continue
                if subband == victim and fault in ("corrupt", "truncated", "wrong_band"):
                    path = self.damage(fault, path, files, subband)
                deliveries.append((at, path, path.name if path.parent == self.pool else f"{stamp}_sb{subband:02d}.hdf5"))
            name = f"{stamp}_sb{victim:02d}.hdf5"
            # An earlier stamp would give the group another name.
            one_later = (datetime.datetime.fromisoformat(stamp) + datetime.timedelta(seconds=1)).isoformat()
            if fault == "duplicate":
                deliveries.append((start + 0.03, files[victim], f"{one_later}_sb{victim:02d}.hdf5"))
            elif fault == "rewritten":
                deliveries.append((start + 0.03, files[victim], name))
            elif fault == "conflict":
                # The last regular file waits until the group is held, so that it never becomes complete before.
                mine = [d for d in deliveries if d[2].startswith(stamp) and d[2] != name]
                last = max(mine, key=lambda d: d[0])
                deliveries.remove(last)
                self.withheld.append((last[1], last[2], stamp, "held"))
                deliveries.append((start + 0.03, other / name, f"{one_later}_sb{victim:02d}.hdf5"))
        self.deliveries = sorted(deliveries, key=lambda d: d[0])

    def draw_fault(self, group):
        names = list(FAULTS)
        if not self.args.groups >= 200:  # the short form has one of each
            return names[group // 2] if group % 2 == 1 and group // 2 < len(names) else None
        drawn = self.random.random()
        for name in names:
            drawn -= FAULTS[name][0]
            if drawn < 0:
                return name
        return None

    def damage(self, fault, path, files, subband):
        folder = self.root / "damaged"
        folder.mkdir(exist_ok=True)
        target = folder / path.name
        data = bytearray(path.read_bytes())
        if fault == "corrupt":
            data[:2048] = self.random.randbytes(2048)
        elif fault == "truncated":
            data = data[:len(data) // 2]
        else:
            data = bytearray(files[(subband + 5) % 16].read_bytes())
        target.write_bytes(data)
        return target

    def deliver(self, source, name):
        target = self.incoming / name
        how = self.random.random()
        if how < 0.5:  # as rsync does: a dotted temporary, then a rename
            temporary = self.incoming / f".{name}.Xy12ab"
            shutil.copyfile(source, temporary)
            temporary.rename(target)
        elif how < 0.9:
            shutil.copyfile(source, target)
        else:  # slowly, under the final name
            data = source.read_bytes()
            with open(target, "wb") as out:
                out.write(data[:len(data) // 2])
                out.flush()
                time.sleep(0.05)
                out.write(data[len(data) // 2:])

    # --- the daemon ----------------------------------------------------------------------------------------------
    def start_daemon(self):
        with self.calm(), open(self.root / "daemon.log", "ab") as log:
            environment = {**self.environment, **(self.chaos.environment if self.chaos else {})}
            self.daemon = subprocess.Popen([self.stream], env=environment, stdout=log, stderr=log)
            if self.chaos:
                self.chaos.await_start(self.daemon)

    def calm(self):
        return self.chaos.calm() if self.chaos else contextlib.nullcontext()

    def measure(self):
        """The daemon's largest resident memory so far."""
        try:
            for line in pathlib.Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    self.largest_mb = max(self.largest_mb, int(line.split()[1]) / 1024)
        except FileNotFoundError:
            pass

    def keep_alive(self):
        self.measure()
        status = self.daemon.poll()
        if status is not None:
            self.find(f"the daemon ended by itself with status {status}")
            self.start_daemon()

    def backups_being_made(self):
        return list((self.root / "state" / "backups").glob(".*.part-*/*.sqlite3"))

    def kill(self):
        if self.random.random() < 0.4:  # in the middle of a backup, if one comes
            limit = time.time() + 12
            while time.time() < limit and not self.backups_being_made() and self.daemon.poll() is None:
                time.sleep(0.002)
            self.killed_backups += bool(self.backups_being_made())
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()
        self.kills += 1
        self.start_daemon()

    def states(self):
        done = self.run("queue", "list", "--json")
        if done.returncode != 0:
            return {}
        return {row["id"]: row for row in json.loads(done.stdout) if "/" not in row["id"]}

    def tasks(self):
        done = self.run("queue", "list", "--json")
        return {row["id"]: row for row in json.loads(done.stdout or "[]") if "/" in row["id"]}

    def hold_a_backup(self):
        """An operator holds one that waits or runs, looks at it, and lets it go."""
        for name, row in self.tasks().items():
            if row["state"] in ("ready", "running", "failed") and self.run("queue", "hold", name).returncode == 0:
                time.sleep(self.random.random() * 2)
                if self.run("queue", "release", name).returncode == 0:
                    self.held_backups += 1

    # --- the run -------------------------------------------------------------------------------------------------
    def go(self):
        self.incoming.mkdir(parents=True, exist_ok=True)
        (self.root / "state").mkdir(exist_ok=True)
        begun = time.time()
        self.simulate()
        print(f"{len(self.expected)} groups simulated in {time.time() - begun:.0f} s below {self.root}", flush=True)
        self.start_daemon()
        if self.chaos:
            self.chaos.start()
        begun = time.time()
        # Half of the kills while files arrive, half while the queue is worked off.
        n_early = self.args.kills // 2
        kill_at = sorted(self.random.sample(range(len(self.deliveries)), n_early))
        for n, (_, source, name) in enumerate(self.deliveries):
            self.deliver(source, name)
            if kill_at and n >= kill_at[0]:
                kill_at.pop(0)
                self.kill()
            if n % 97 == 0:
                time.sleep(self.random.random() * 0.3)  # bursts
                self.keep_alive()
        print(f"{len(self.deliveries)} files delivered in {time.time() - begun:.0f} s, {self.kills} kills", flush=True)
        waiting = list(self.withheld)
        last_kill = time.time()
        limit = time.time() + self.args.limit
        while time.time() < limit:
            time.sleep(0.5)
            self.keep_alive()
            states = self.states()
            for item in list(waiting):
                if states.get(item[2], {}).get("state") == item[3]:
                    self.deliver(item[0], item[1])
                    waiting.remove(item)
            if self.kills < self.args.kills and time.time() - last_kill > self.args.kill_every * self.random.random():
                self.hold_a_backup()
                self.kill()
                last_kill = time.time()
            right = sum(1 for stamp, (state, kind, _) in self.expected.items()
                        if states.get(stamp, {}).get("state") == state)
            if self.kills < self.args.kills:
                continue
            if self.chaos and self.chaos.is_alive():
                late = time.time() - begun > self.args.chaos_s
                if late or (self.chaos.every_kind_was_there() and not waiting):
                    self.chaos.stop()  # what is left is done in peace
                continue
            if right == len(self.expected) and not waiting:
                break
            if self.took_still_s(states) > 120:
                break  # nothing moves any more: the judgement says what is wrong
        self.took = time.time() - begun
        self.kill()  # the last start brings records and products into agreement
        self.kills -= 1
        time.sleep(3)
        for _ in range(120):
            status = json.loads(self.run("status", "--json").stdout or "{}")
            if status.get("comparing_records") is False:
                break
            time.sleep(0.5)
        self.daemon.send_signal(signal.SIGTERM)
        try:
            if self.daemon.wait(timeout=60) != 0:
                self.find(f"SIGTERM: exit status {self.daemon.returncode}")
        except subprocess.TimeoutExpired:
            self.find("SIGTERM: did not stop within 60 s")
            self.daemon.kill()

    def took_still_s(self, states):
        """Seconds since the states of the groups last changed."""
        picture = sorted((stamp, row["state"]) for stamp, row in states.items())
        if picture != getattr(self, "picture", None):
            self.picture, self.changed_at = picture, time.time()
        return time.time() - self.changed_at

    # --- judgement -----------------------------------------------------------------------------------------------
    def judge(self):
        states = self.states()
        for stamp in sorted(set(states) - set(self.expected)):
            self.find(f"{stamp}: a group that nobody sent ({states[stamp]['state']})")
        for stamp, (state, kind, fault) in self.expected.items():
            row = states.get(stamp)
            if row is None:
                self.find(f"{stamp} ({fault}): lost")
            elif (row["state"], row["error_kind"]) != (state, kind):
                self.find(f"{stamp} ({fault}): expected {state} {kind} and found {row['state']} {row['error_kind']}: "
                          f"{row['error']}")
        self.judge_products()
        self.judge_trail(states)
        self.judge_backups()
        for name in ("corrupt", "truncated"):
            for stamp, (_, _, fault) in self.expected.items():
                # On a disk that cannot be written the reason may be missing, never the file.
                ending = "" if self.chaos else ".reason"
                if fault == name and not list((self.root / "scratch/quarantine").glob(f"*/{stamp}_sb??.hdf5{ending}")):
                    self.find(f"{stamp} ({fault}): its bad file is not in quarantine")

    def judge_products(self):
        try:
            from casacore.tables import table
        except ImportError:
            table = None
            print("python3-casacore is absent: products are not opened")
        wanted = {stamp for stamp, (state, _, _) in self.expected.items() if state == "done"}
        found = collections.Counter(p.name[:-3] for p in (self.root / "scratch").rglob("*.ms") if p.is_dir())
        for stamp in sorted(wanted | set(found)):
            if found[stamp] != (1 if stamp in wanted else 0):
                self.find(f"{stamp}: {found[stamp]} Measurement Sets, expected {1 if stamp in wanted else 0}")
        if table is not None:
            for path in (self.root / "scratch" / "ms" / "science").glob("*/*.ms"):
                try:
                    with table(str(path), ack=False) as ms, table(str(path / "SPECTRAL_WINDOW"), ack=False) as windows:
                        rows, n_windows = ms.nrows(), windows.nrows()
                        ms.getcol("DATA")
                    if rows != 2 * 10 * 16 or n_windows != 16:
                        self.find(f"{path}: {rows} rows in {n_windows} windows, expected 320 in 16")
                except RuntimeError as error:
                    self.find(f"{path}: {error}")
        self.judge_records(wanted)
        for left in (self.root / "scratch").rglob(".*.part-*"):
            self.find(f"{left}: unfinished and left behind")
        for root in (self.staging, self.root / "scratch" / "tmp" / "staging"):
            for left in root.glob("*") if root.exists() else []:
                self.find(f"{left}: staging is not empty")
        for stamp, (state, kind, fault) in self.expected.items():
            log = self.root / "scratch" / "ms" / "failed" / stamp[:10] / f"{stamp}.log"
            if (state == "dead") != log.exists():
                self.find(f"{stamp} ({fault}): {state}, and its failed log {'exists' if log.exists() else 'is absent'}")

    def judge_records(self, wanted):
        """Every product has its record and every record its product."""
        path = self.root / "state" / "products.sqlite3"
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        recorded = collections.Counter()
        for kind, product, group, status in database.execute("SELECT kind, path, group_id, status FROM products"):
            if status != "present" or not pathlib.Path(product).exists():
                self.find(f"{group}: {kind} {product} is recorded as {status} and "
                          f"{'there' if pathlib.Path(product).exists() else 'not there'}")
            recorded[group] += kind == "science_ms"
        for stamp in wanted:
            if recorded[stamp] != 1:
                self.find(f"{stamp}: {recorded[stamp]} records of its Measurement Set")

    def judge_backups(self):
        """Every folder with the name of a backup is whole; none is left over; tasks were done and none was given up."""
        folder = self.root / "state" / "backups"
        for name in sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
            done = self.run("backup", "verify", name)
            if done.returncode != 0:
                self.find(f"backup {name}: {done.stderr.strip()}")
        made = self.run("backup")  # sweeps what a kill has left
        if made.returncode != 0:
            self.find(f"contimg backup: {made.stderr.strip()}")
        for left in folder.glob(".*"):
            self.find(f"{left}: unfinished and left behind")
        tasks = self.tasks()
        self.backups = collections.Counter(row["state"] for row in tasks.values())
        if self.backups["done"] == 0:
            self.find(f"no backup was made: {dict(self.backups)}")
        for name, row in tasks.items():
            if row["state"] not in ("done", "ready"):  # ready: handed back at the end
                self.find(f"{name}: {row['state']} {row['error_kind']}: {row['error']}")
            self.judge_one_trail(name, row["state"])

    def judge_trail(self, states):
        self.attempts = sum(self.judge_one_trail(stamp, states.get(stamp, {}).get("state")) for stamp in self.expected)

    def judge_one_trail(self, name, state):
        """Without a gap, done at most once, and ending where the row is. Returns the number of attempts."""
        database = sqlite3.connect(f"file:{self.root}/state/ingest.sqlite3?mode=ro", uri=True)
        before, n_done, n_attempts = None, 0, 0
        for kind, source, target in database.execute(
                "SELECT kind, from_state, to_state FROM events WHERE group_id = ? ORDER BY id", (name,)):
            if kind != "state":
                continue
            if before is not None and source != before:
                self.find(f"{name}: the trail jumps from {before} to {source} -> {target}")
            before = target
            n_done += target == "done"
            n_attempts += target == "running"
        if state and before != state:
            self.find(f"{name}: the trail ends in {before}, the row is {state}")
        if n_done > 1:
            self.find(f"{name}: done {n_done} times")
        return n_attempts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help="folder with contimg and contimg-stream")
    parser.add_argument("--groups", type=int, default=24)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=15, help="ingest.deadline_s, seconds")
    parser.add_argument("--kill-every", type=float, default=8, help="longest time between late kills, seconds")
    parser.add_argument("--limit", type=float, default=3600, help="give up after so many seconds")
    parser.add_argument("--fast", action="store_true", help="without syncs of products")
    parser.add_argument("--chaos", action="store_true", help="troubles beside the kills: see chaos.py")
    parser.add_argument("--chaos-s", type=float, default=600, help="end the troubles after so many seconds")
    parser.add_argument("--set", action="append", default=[], metavar="CONTIMG_X=Y", help="environment of the daemon")
    parser.add_argument("--workdir", help="an empty folder; default: a temporary one, removed when all is well")
    args = parser.parse_args()
    if args.chaos:
        os.environ.setdefault("CONTIMG_FAULTY_CALLS", str(pathlib.Path(args.bin).resolve().parent / "tests/libfaulty_calls.so"))
        if library() is None:
            parser.error(f"--chaos needs {os.environ['CONTIMG_FAULTY_CALLS']}")
    soak = Soak(args)
    print(f"seed {args.seed}", flush=True)
    try:
        soak.go()
        soak.judge()
    finally:
        if soak.daemon and soak.daemon.poll() is None:
            soak.daemon.kill()
    states = collections.Counter(row["state"] for row in soak.states().values())
    if soak.chaos:
        print(soak.chaos.words())
    print(f"{len(soak.expected)} groups, {soak.kills} kills, {soak.attempts} attempts in {soak.took:.0f} s: {dict(states)}; "
          f"the daemon held at most {soak.largest_mb:.0f} MB; backups {dict(soak.backups)}, {soak.killed_backups} kills "
          f"within one, {soak.held_backups} held and released")
    if soak.findings:
        print(f"{len(soak.findings)} findings; everything is kept in {soak.root}")
        return 1
    if not args.workdir:
        shutil.rmtree(soak.root)
    shutil.rmtree(soak.staging, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
