#!/usr/bin/python3
"""The daemon and the operator's commands at the size they must carry: a database of 100 000 groups.

    ./run bench daemon [--groups N] [--runs N] [--idle S] [--workdir DIR]

Prints a table: every queue and status command (must be < 0.2 s), the idle daemon (< 1 % of a core, < 100 MB), file
closed -> group ready (< 1 s), ready -> worker started (< 10 ms). Exit status 1 when a figure misses its limit.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parents[2]
SPACING_S = 309
FIRST = 1735689600  # 2025-01-01
STATES = ["dead", "held", "cancelled"]  # of groups that rest; the others are done


def iso(unix_s):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))


class Bench:
    def __init__(self, args):
        self.args = args
        self.root = pathlib.Path(args.workdir or tempfile.mkdtemp(prefix="contimg-bench-", dir=HERE / "build")).resolve()
        self.incoming = self.root / "scratch/incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        (self.root / "state").mkdir(exist_ok=True)
        self.program, self.stream = (str(pathlib.Path(args.bin).resolve() / name) for name in ("contimg", "contimg-stream"))
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        self.environment.update(
            CONTIMG_SCRATCH_DIR=str(self.root / "scratch"), CONTIMG_STATE_DIR=str(self.root / "state"),
            CONTIMG_STAGING_DIR=str(self.root / "staging"), CONTIMG_HTTP_LISTEN="127.0.0.1:0",
            CONTIMG_INGEST_DEADLINE_S="86400", CONTIMG_IMAGE_ENABLED="false", CONTIMG_FLAG_ENABLED="false",
            CONTIMG_CALIBRATE_POLICY="uncalibrated", CONTIMG_CONVERT_DURABLE="false",
            CONTIMG_DISK_WARN_FREE_BYTES="1000000", CONTIMG_DISK_CRITICAL_FREE_BYTES="500000",
            CONTIMG_DISK_WARN_USED_FRACTION="0.999", CONTIMG_DISK_CRITICAL_USED_FRACTION="0.9999")
        self.missed = []
        self.daemon = None

    def say(self, name, value, limit=None, unit="s", more=""):
        verdict = more
        if limit is not None:
            good = value < limit
            verdict = f"  (< {limit:g} {unit}{'' if good else ': MISSED'}){more}"
            if not good:
                self.missed.append(name)
        print(f"{name:<58} {value:9.3f} {unit}{verdict}", flush=True)

    # --- the database ------------------------------------------------------------------------------------------------
    def database(self):
        return sqlite3.connect(self.root / "state/ingest.sqlite3")

    def fill(self):
        self.start()  # makes the database
        self.stop()
        database = self.database()
        database.execute("PRAGMA synchronous = OFF")
        if database.execute("SELECT count(*) FROM groups").fetchone()[0] >= self.args.groups:
            return
        database.execute("DELETE FROM groups")
        products = sqlite3.connect(self.root / "state/products.sqlite3")
        products.execute("PRAGMA synchronous = OFF")
        groups, files, events = [], [], []
        for i in range(self.args.groups):
            at = FIRST + SPACING_S * i
            name = iso(at)
            state = "done" if i % 100 < 90 else STATES[i % len(STATES)]
            bad = state == "dead"
            groups.append((name, state, 0, 1, at, "io" if bad else None,
                           "no space is left on the device" if bad else "", 16, 16, 60676.0, 60676.1, at, at, at, at, at,
                           "local", "process 1 1", "", 0, "image", 1, '{"convert":3.1,"flag":2.9,"image":9.7}'))
            for subband in range(16):
                path = f"/stage/contimg/incoming/{name}_sb{subband:02d}.hdf5"
                files.append((name, subband, path, 140000000, at, "0123456789abcdef", "present", at))
                events.append((at, name, "file", "", "", "watcher", f"sb{subband:02d} present {path}"))
            for before, after in (("", "collecting"), ("collecting", "ready"), ("ready", "running"), ("running", state)):
                events.append((at, name, "state", before, after, "runner", "attempt 1"))
            if state == "done":  # its Measurement Set has made room for newer ones
                path = f"{self.root}/scratch/ms/science/{name[:10]}/{name}.ms"
                products.execute("INSERT INTO products VALUES (NULL,'science_ms',?,?,60676.0,60676.1,NULL,NULL,4400000000,"
                                 "'','{}','','removed','',NULL,?,?)", (path, name, at, at))
            if len(groups) == 2000 or i + 1 == self.args.groups:
                database.executemany(f"INSERT INTO groups VALUES ({','.join('?' * 23)})", groups)
                database.executemany("INSERT INTO subband_files VALUES (?,?,?,?,?,?,?,?)", files)
                database.executemany("INSERT INTO events (at, group_id, kind, from_state, to_state, actor, detail) "
                                     "VALUES (?,?,?,?,?,?,?)", events)
                groups, files, events = [], [], []
        database.commit()
        database.close()
        products.commit()
        products.close()

    # --- commands ----------------------------------------------------------------------------------------------------
    def contimg(self, *words):
        done = subprocess.run([self.program, *words], env=self.environment, capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"contimg {' '.join(words)}: {done.stderr.decode()}")
        return done.stdout

    def timed(self, *words, each=None):
        """Runs it so often as asked. With `each`, a list as long: {} in a word is the run's own, for commands that
        change what they are given."""
        walls, cpus = [], []
        for run in range(self.args.runs):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            begun = time.perf_counter()
            answer = self.contimg(*(word.format(each[run]) if each else word for word in words))
            walls.append(time.perf_counter() - begun)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        self.say(f"contimg {' '.join(words)} [{len(answer)} bytes]".replace("{}", "GROUP").replace("{0[0]}", "DAY")
                 .replace("{0[1]}", "DAY")[:58], statistics.median(walls), 0.2,
                 more=f"  {statistics.median(cpus):.3f} s of processor time")
        return answer

    def commands(self):
        middle = self.args.groups // 2
        one = iso(FIRST + SPACING_S * (middle - middle % 100 + 3))  # done
        dead = [row[0] for row in self.database().execute(
            "SELECT id FROM groups WHERE state = 'dead' ORDER BY id LIMIT ? OFFSET 20", (self.args.runs,))]
        weeks = [time.strftime("%Y-%m-%d", time.gmtime(FIRST + (150 + 7 * run) * 86400)) for run in
                 range(self.args.runs + 1)]
        print(f"-- commands: medians of {self.args.runs} runs, wall time")
        self.timed("--version")
        self.timed("queue", "list")
        rows = json.loads(self.timed("queue", "list", "--json"))
        assert len(rows) == self.args.groups, len(rows)
        self.timed("queue", "list", "--limit", "0")
        self.timed("queue", "list", "--state", "dead", "--json")
        self.timed("queue", "list", "--failed")
        self.timed("queue", "list", "--error-kind", "io", "--oldest-first")
        self.timed("queue", "list", "--from", "2025-06-01", "--before", "2025-06-02", "--json")
        self.timed("queue", "show", one)
        self.timed("queue", "show", one, "--json", "--events", "0")
        self.timed("queue", "requeue", "{}", each=dead)  # ready
        self.timed("queue", "hold", "{}", each=dead)
        self.timed("queue", "release", "{}", each=dead)  # ready again
        self.timed("queue", "priority", "{}", "--to", "3", each=dead)
        self.timed("queue", "cancel", "{}", each=dead)
        self.timed("queue", "requeue", "--failed", "--from", "{0[0]}", "--before", "{0[1]}",
                   each=list(zip(weeks, weeks[1:])))
        self.contimg("queue", "cancel", "--state", "ready")  # their files do not exist
        self.timed("status")
        self.timed("status", "--json")

    # --- the daemon --------------------------------------------------------------------------------------------------
    def start(self):
        log = open(self.root / "log", "ab")
        begun = time.perf_counter()
        self.daemon = subprocess.Popen([self.stream], env=self.environment, stdout=log, stderr=log)
        while True:
            try:
                self.port = int((self.root / "state/contimg-stream.lock").read_text().split()[1].rsplit(":", 1)[1])
                self.get("/healthz")
                return time.perf_counter() - begun
            except (OSError, IndexError):
                if self.daemon.poll() is not None:
                    sys.exit(f"the daemon ended with status {self.daemon.returncode}: {self.root}/log")
                time.sleep(0.01)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read()

    def stop(self):
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait()
            self.daemon = None

    def usage(self):
        fields = pathlib.Path(f"/proc/{self.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        memory = next(int(line.split()[1]) for line in
                      pathlib.Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return cpu, memory / 1024

    def is_idle(self):
        """Nothing to do, and what is done once at the start is over."""
        status = json.loads(self.get("/api/v1/status"))
        waiting = sum(status["groups"].get(state, 0) for state in ("collecting", "ready", "running", "failed"))
        return (status["incoming"]["caught_up"] and not status["comparing_records"] and not status["jobs"] and
                waiting == 0 and len(status["directories"]) == 5)

    def idle(self):
        self.say("daemon: start to first answer", self.start())
        begun = time.perf_counter()
        while not self.is_idle():
            if time.perf_counter() - begun > 300:
                sys.exit(f"the daemon did not become idle: {self.get('/api/v1/status').decode()}")
            time.sleep(0.2)
        self.say("daemon: start to all records compared with products", time.perf_counter() - begun)
        before, begun = self.usage()[0], time.perf_counter()
        time.sleep(self.args.idle)
        cpu, memory = self.usage()
        self.say(f"daemon: idle for {self.args.idle:g} s, of a core", 100 * (cpu - before) / (time.perf_counter() - begun), 1,
                 "%")
        self.say("daemon: resident memory", memory, 100, "MB")
        for path in ("/metrics", "/api/v1/status", "/healthz"):
            begun = time.perf_counter()
            for _ in range(20):
                self.get(path)
            self.say(f"daemon: GET {path}", (time.perf_counter() - begun) / 20 * 1000, unit="ms")
        self.timed("status", "--json")

    def flow(self):
        pool = self.root / "pool"
        if not pool.exists():
            subprocess.run([self.program, "simulate", "--out", str(pool), "--truth", str(self.root / "truth"), "--tiles",
                            str(self.args.flow), "--antennas", "4", "--integrations", "2", "--channels", "4", "--quiet"],
                           env=self.environment, check=True)
        stamps = sorted({path.name.split("_sb")[0] for path in pool.glob("*.hdf5")})
        closed = {}
        for stamp in stamps:
            for path in sorted(pool.glob(f"{stamp}_sb*.hdf5")):
                shutil.copyfile(path, self.incoming / path.name)
                closed[stamp] = time.time()
            end = time.time() + 60
            while time.time() < end:
                row = self.database().execute("SELECT state FROM groups WHERE id = ?", (stamp,)).fetchone()
                if row and row[0] in ("done", "dead"):
                    break
                time.sleep(0.05)
        database = self.database()
        ready, dispatch = [], []
        for stamp in stamps:
            at = {}
            for state, when in database.execute(
                    "SELECT to_state, at FROM events WHERE group_id = ? AND kind = 'state' ORDER BY id", (stamp,)):
                at.setdefault(state, when)
            if "done" not in at:
                sys.exit(f"{stamp} was not done: {at}")
            ready.append(at["ready"] - closed[stamp])
            dispatch.append(1000 * (at["running"] - at["ready"]))
        self.say(f"last file closed -> group ready, median of {len(stamps)}", statistics.median(ready), 1)
        self.say("last file closed -> group ready, worst", max(ready), 1)
        self.say("group ready -> given to a worker, median", statistics.median(dispatch), 10, "ms")
        self.say("group ready -> given to a worker, worst", max(dispatch), unit="ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=HERE / "build/release/bin")
    parser.add_argument("--groups", type=int, default=100000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--idle", type=float, default=30, help="seconds of idling")
    parser.add_argument("--flow", type=int, default=20, help="groups sent through")
    parser.add_argument("--workdir", help="kept, and taken up again with its database; default: a temporary one")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # cleans up as the end does
    bench = Bench(args)
    print(f"load before: {os.getloadavg()[0]:.2f}; {os.cpu_count()} processors; {args.groups} groups", flush=True)
    try:
        bench.fill()
        size = sum(path.stat().st_size for path in (bench.root / "state").iterdir())
        print(f"-- database: {size / 1e6:.0f} MB")
        bench.commands()
        print("-- daemon")
        bench.idle()
        bench.flow()
    finally:
        bench.stop()
        if not args.workdir:
            shutil.rmtree(bench.root)
    if bench.missed:
        print(f"{len(bench.missed)} figures miss their limits")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
