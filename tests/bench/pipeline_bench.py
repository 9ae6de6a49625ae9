#!/usr/bin/env python3
"""Full tiles through the daemon: seconds of each stage, from ready to recorded, from the last file to the record.

    ./run bench pipeline [--tiles 12] [--data DIR] [--work DIR] [--small]
    ./run bench pipeline --only realtime [--pace 4] [--mosaics]

A drift scan is simulated (or taken from --data, with sky.csv beside it), tables are solved on its first tile and
registered, and the scan is given to a daemon twice: one tile alone, its last file last; then all tiles at once. Measurement
Sets and images are removed once they are recorded, so that the disk need not hold an hour of them. 12 tiles need 27 GB for
the input. `realtime` gives each tile to the daemon when the sky has got there (or so many times faster) and says whether
anything ever had to wait; with `--mosaics` twice, without and with hourly mosaics: what they cost the tiles, and how long
after its last tile each is there. The images that mosaics are made of stay meanwhile (0.4 GB a tile).
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

CALIBRATOR = (202.784533, 30.509155)  # 3C286
TILE_S = 309.2  # of sky
STAGES = ["convert", "flag", "solve", "apply", "refine", "image", "measure", "write"]


def fail(message):
    sys.exit("pipeline_bench: " + message)


def run(command, env=None, log=None):
    done = subprocess.run([str(word) for word in command], env=env, stdout=log or subprocess.PIPE,
                          stderr=subprocess.STDOUT if log else subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"{command[1]} failed with status {done.returncode}: {(done.stderr or done.stdout or '')[-500:]}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def used_bytes(path):
    s = os.statvfs(path)
    return (s.f_blocks - s.f_bfree) * s.f_frsize


class Daemon:
    """A daemon with fresh databases but for the registry of calibration tables and the catalogue."""

    def __init__(self, args, root, name, mosaics=False):
        self.args, self.root, self.mosaics = args, root / name, mosaics
        self.state, self.scratch = self.root / "state", self.root / "scratch"
        for folder in (self.state, self.scratch / "incoming", self.root / "arriving"):
            folder.mkdir(parents=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        self.env.update(CONTIMG_STATE_DIR=str(self.state), CONTIMG_SCRATCH_DIR=str(self.scratch),
                        CONTIMG_HTTP_LISTEN=f"127.0.0.1:{free_port()}", CONTIMG_QUEUE_ORDER="oldest",
                        CONTIMG_DISK_CRITICAL_USED_FRACTION="0.99", CONTIMG_INGEST_STABLE_S="1")
        if args.small:
            self.env.update(CONTIMG_IMAGE_SIZE="1024", CONTIMG_IMAGE_CELL_ARCSEC="8")
        if mosaics:
            self.env["CONTIMG_MOSAIC_ENABLED"] = "true"
        for setting in args.set:
            key, value = setting.split("=", 1)
            self.env["CONTIMG_" + key.replace(".", "_").upper()] = value
        self.process = None

    def start(self):
        log = open(self.root / "daemon.log", "w")
        self.process = subprocess.Popen([self.args.bin / "contimg-stream"], env=self.env, stdout=log, stderr=log)
        deadline = time.time() + 20
        while not (self.state / "ingest.sqlite3").exists():
            if self.process.poll() is not None or time.time() > deadline:
                fail("the daemon does not start: " + (self.root / "daemon.log").read_text()[-400:])
            time.sleep(0.05)
        time.sleep(1)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(90)

    def send(self, path):
        """Files appear as the correlator makes them: complete, by a rename. Returns when."""
        target = self.root / "arriving" / path.name
        os.link(path, target)
        target.rename(self.scratch / "incoming" / path.name)
        return time.time()

    def query(self, database, sql, *values):
        connection = sqlite3.connect(f"file:{self.state / database}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def wait(self, groups, limit_s, discard):
        """Until all are done; returns the largest use of memory by staging meanwhile."""
        start, staged, before = time.time(), 0, used_bytes("/dev/shm")
        open_groups = set(groups)
        while open_groups:
            staged = max(staged, used_bytes("/dev/shm") - before)
            for group, state, error in self.query("ingest.sqlite3", "SELECT id, state, error FROM groups"):
                if state in ("dead", "awaiting_calibration"):
                    fail(f"{group} is {state}: {error}; see {self.root / 'daemon.log'}")
                if state == "done" and group in open_groups:
                    open_groups.remove(group)
                    if discard:
                        self.discard(group)
            if self.process.poll() is not None:
                fail("the daemon ended: " + (self.root / "daemon.log").read_text()[-400:])
            if time.time() - start > limit_s:
                fail(f"{len(open_groups)} groups are not done after {limit_s:.0f} s: {sorted(open_groups)}")
            time.sleep(0.1)
        return staged

    def discard(self, group):
        for path in list((self.scratch / "ms/science").glob(f"*/{group}.ms")):
            shutil.rmtree(path)
        for path in (self.scratch / "images/single").glob(f"*/{group}.*"):
            if not self.mosaics or path.name.split(".")[1] not in ("image", "residual", "model", "pb", "smear") or "pbcor" in path.name:
                path.unlink()

    def discard_done(self):
        for (group,) in self.query("ingest.sqlite3", "SELECT id FROM groups WHERE state = 'done'"):
            self.discard(group)

    def jobs(self, group):
        return self.query("products.sqlite3", "SELECT timings_json, peak_memory_bytes, report_json FROM jobs WHERE "
                          "group_id = ? ORDER BY id", group)

    def time_of(self, group, state):
        rows = self.query("ingest.sqlite3", "SELECT at FROM events WHERE group_id = ? AND kind = 'state' AND to_state = ? "
                          "ORDER BY id", group, state)
        return rows[0][0] if state == "ready" else rows[-1][0]


def groups_of(folder):
    groups = {}
    for path in sorted(folder.glob("*_sb*.hdf5")):
        groups.setdefault(path.name[:19], []).append(path)
    return groups


def simulate(args, folder):
    sky = folder / "sky"
    command = [args.bin / "contimg", "simulate", "--out", folder, "--truth", sky, "--transit", "%f,%f" % CALIBRATOR,
               "--source", "%f,%f,15.084,-0.5011" % CALIBRATOR, "--random-sky", 10, "--max-sources", 300, "--gains",
               "0.2,180", "--drift", "0.02,10", "--delays", 5, "--bandpass", 0.05, "--rfi", "4,3,1", "--dead", 2,
               "--tiles", args.tiles]
    if args.small:
        command += ["--antennas", 24, "--channels", 12]
    run(command)
    write_catalogue(sky, folder / "sky.csv")


def write_catalogue(truths, path):
    known = {}
    for truth in truths.glob("truth_*.json"):
        for ra, dec, flux, alpha in json.loads(truth.read_text())["sources"]:
            known[(ra, dec)] = (flux, alpha)
    with open(path, "w") as file:
        file.write("name,ra_deg,dec_deg,flux_jy,spectral_index\n")
        for i, ((ra, dec), (flux, alpha)) in enumerate(sorted(known.items())):
            if flux >= 0.05:
                file.write(f"s{i},{ra:.7f},{dec:.7f},{flux:.6f},{alpha:.4f}\n")


def solve_first(args, root, group, files, sky):
    """Tables of the first tile, as the scheduler of the day would have made them. Returns their registry's folder."""
    folder = root / "calibration"
    folder.mkdir()
    prefix = folder / f"{group}_24h"
    solve = dict(kinds=["K", "BP", "G"], model="calibrator:3C286", prefix=str(prefix), interval="24h", apply=[], anchor=None,
                 previous=[], reference_antennas=[])
    job = dict(version=2, group=group, attempt=1, stages=["convert", "flag", "solve"], inputs=[str(f) for f in files],
               expected_subbands=16, threads=os.cpu_count(), measurement_set=str(folder / (group + ".ms")),
               staging_root="/dev/shm/contimg", fallback_root=str(folder / "staging"), take_existing=False,
               replace_existing=False, tables=[], solve=solve, sky_model=str(sky), image_prefix="", qa_prefix="",
               settings={"convert": {"durable": "false"}})
    (folder / "job.json").write_text(json.dumps(job))
    run([args.bin / "contimg", "worker", folder / "job.json"])
    report = json.loads((folder / "report.json").read_text())
    shutil.rmtree(folder / (group + ".ms"))
    for table in report["calibration"]:
        if not table["accepted"]:
            fail(f"{table['kind']} is refused: {table['failures']}")
    return [table["path"] for table in report["calibration"]]


def prepare(daemon, args, tables, sky):
    run([args.bin / "contimg", "catalog", "import", "csv", sky, "--name", "nvss"], daemon.env)
    for table in tables:
        run([args.bin / "contimg", "cal", "register", table, "--interval", "24h"], daemon.env)


def report_tile(daemon, group, last_file, staged):
    jobs = daemon.jobs(group)
    if not jobs:
        fail(f"no job of {group} is recorded")
    stages, peak = {}, 0
    for timings, memory, _ in jobs:
        peak = max(peak, memory)
        for name, figures in json.loads(timings).items():
            old = stages.setdefault(name, dict(seconds=0, cpu_s=0, figures={}))
            old["seconds"] += figures["seconds"]
            old["cpu_s"] += figures["cpu_s"]
            old["figures"] = figures["figures"]
            old["memory"] = figures["peak_memory_bytes"]
    report = json.loads(jobs[-1][2])
    ready, done = daemon.time_of(group, "ready"), daemon.time_of(group, "done")
    print(f"\none tile, {group}\n  {'stage':<28} {'wall s':>8} {'cpu s':>8} {'peak GiB':>9}")
    for name in STAGES:
        if name not in stages:
            continue
        s = stages[name]
        print(f"  {name:<28} {s['seconds']:>8.2f} {s['cpu_s']:>8.2f} {s['memory'] / 2**30:>9.2f}")
        parts = {k[:-2]: v for k, v in s["figures"].items() if k.endswith("_s") and isinstance(v, (int, float)) and v < 1e4}
        if parts:
            print("    " + ", ".join(f"{k} {v:.2f}" for k, v in parts.items()) +
                  (" (beside the image)" if name == "write" else ""))
    total = sum(s["seconds"] for s in stages.values())
    print(f"  {'all stages':<28} {total:>8.2f} {sum(s['cpu_s'] for s in stages.values()):>8.2f} {peak / 2**30:>9.2f}")
    print(f"  {'ready to recorded':<28} {done - ready:>8.2f}          (must: 24, aim: 20)")
    print(f"  {'last file to recorded':<28} {done - last_file:>8.2f}          (must: 25)")
    print(f"  staging held {staged / 2**30:.2f} GiB of memory besides the worker; must in all: 8 GiB")
    quality = report["quality"].get("quality", {})
    if quality:
        print(f"  image: rms {1e3 * quality['rms_jy']:.3f} mJy ({quality['rms_over_thermal']:.2f} x thermal), dynamic range "
              f"{quality['dynamic_range']:.0f}, grade {quality['grade']}, tables "
              f"{len(report['applied'])}, components {stages['image']['figures'].get('components')}")
    return dict(group=group, stages={k: dict(seconds=v["seconds"], cpu_s=v["cpu_s"]) for k, v in stages.items()},
                ready_to_recorded_s=done - ready, last_file_to_recorded_s=done - last_file, peak_bytes=peak,
                staged_bytes=staged)


def keep_pace(daemon, groups, pace):
    """Tiles arrive as the sky moves. Prints and returns how long each took and how many were open when one came."""
    start, arrived = time.time(), {}
    for k, (group, files) in enumerate(groups.items()):
        time.sleep(max(0, start + (k + 1) * TILE_S / pace - time.time()))
        for path in files:
            arrived[group] = daemon.send(path)
        daemon.discard_done()
    daemon.wait(groups, 600, True)
    times = {g: (daemon.time_of(g, "ready"), daemon.time_of(g, "done")) for g in groups}
    latency = [times[g][1] - arrived[g] for g in groups]
    waiting = [sum(r <= times[g][0] < d for h, (r, d) in times.items() if h != g) for g in groups]
    took = sorted(times[g][1] - times[g][0] for g in groups)
    print(f"\n{len(groups)} tiles at {pace:g} times the speed of the sky ({time.time() - start:.0f} s), mosaics "
          f"{'on' if daemon.mosaics else 'off'}: ready to recorded {took[len(took) // 2]:.2f} s (median), last file to recorded "
          f"{sorted(latency)[len(latency) // 2]:.1f} s (median), {max(latency):.1f} s (longest; must: 60); at most "
          f"{max(waiting)} other tiles in the queue when one came (must: 0)")
    return dict(tiles=len(groups), pace=pace, latency_s=latency, waiting=waiting, ready_to_recorded_s=took[len(took) // 2])


def watch_mosaics(daemon):
    """Waits for the mosaics that are due; prints and returns how long after its last tile each was there."""
    deadline = time.time() + 120
    while True:
        tasks = daemon.query("ingest.sqlite3", "SELECT id, state, error FROM tasks WHERE kind = 'mosaic'")
        if any(state == "dead" for _, state, _ in tasks):
            fail(f"mosaics are given up: {tasks}")
        if time.time() > deadline:
            fail(f"mosaics are not made: {tasks}; see {daemon.root / 'daemon.log'}")
        if tasks and all(state == "done" for _, state, _ in tasks):
            break
        time.sleep(0.2)
    found = []
    for name, made, used, refused, version, last in daemon.query(
            "products.sqlite3", "SELECT name, updated_at, n_used, n_refused, version, (SELECT max(p.updated_at) FROM mosaic_tiles "
            "t JOIN products p ON p.id = t.image_id WHERE t.mosaic_id = m.mosaic_id) FROM mosaics m ORDER BY end_mjd"):
        took = daemon.query("products.sqlite3", "SELECT finished_at - started_at FROM jobs WHERE group_id = ? ORDER BY id", name)[-1][0]
        found.append(dict(name=name, used=used, refused=refused, version=version, after_last_tile_s=made - last, took_s=took))
        print(f"  {name}: {used} tiles in it, {refused} left out, version {version}, made in {took:.1f} s, there {made - last:.1f} s "
              f"after its last tile (must: 60)")
    return found


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} x {model}, {platform.release()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"))
    parser.add_argument("--data", type=pathlib.Path, help="UVH5 groups of a scan that begins with a transit of 3C286")
    parser.add_argument("--work", type=pathlib.Path, help="folder for the run, on the disk to be measured")
    parser.add_argument("--tiles", type=int, default=12)
    parser.add_argument("--small", action="store_true", help="24 antennas: a trial of the benchmark itself")
    parser.add_argument("--only", choices=["one", "all", "realtime"])
    parser.add_argument("--pace", type=float, default=1, help="with --only realtime: times the speed of the sky")
    parser.add_argument("--mosaics", action="store_true", help="with --only realtime: without and with hourly mosaics")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="settings of the daemon")
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # cleans up as the end does
    root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-bench-", dir=args.work or "."))
    daemons, figures = [], {"machine": machine()}
    try:
        data = args.data
        if not data:
            data = root / "data"
            data.mkdir()
            simulate(args, data)
        groups = dict(list(groups_of(data).items())[:args.tiles])
        if not groups:
            fail(f"{data} holds no UVH5 files")
        sky = data / "sky.csv"
        size = sum(f.stat().st_size for f in next(iter(groups.values())))
        print(f"{machine()}\n{len(groups)} tiles of {size / 1e9:.2f} GB")
        first = next(iter(groups))
        tables = solve_first(args, root, first, groups[first], sky)
        if args.only == "realtime":
            for mosaics in (False, True) if args.mosaics else (False,):
                daemon = Daemon(args, root, "mosaics" if mosaics else "realtime", mosaics)
                daemons.append(daemon)
                prepare(daemon, args, tables, sky)
                daemon.start()
                figures["mosaics" if mosaics else "realtime"] = keep_pace(daemon, groups, args.pace)
                if mosaics:
                    figures["mosaics"]["made"] = watch_mosaics(daemon)
                daemon.stop()
                shutil.rmtree(daemon.scratch, ignore_errors=True)
            if args.mosaics:
                ratio = figures["mosaics"]["ready_to_recorded_s"] / figures["realtime"]["ready_to_recorded_s"]
                print(f"\nready to recorded with mosaics {ratio:.3f} times that without (must: 1.05)")
        if args.only in (None, "one"):
            daemon = Daemon(args, root, "one")
            daemons.append(daemon)
            prepare(daemon, args, tables, sky)
            daemon.start()
            group = list(groups)[-1]  # not the calibrator's own
            for path in groups[group][:-1]:
                daemon.send(path)
            time.sleep(3)
            for path in groups[group]:  # the input is in the page cache, as what was just written is
                path.read_bytes()
            last = daemon.send(groups[group][-1])
            staged = daemon.wait([group], 600, False)
            figures["one"] = report_tile(daemon, group, last, staged)
            daemon.stop()
            daemon.discard(group)
        if args.only in (None, "all"):
            daemon = Daemon(args, root, "all")
            daemons.append(daemon)
            prepare(daemon, args, tables, sky)
            daemon.start()
            start = time.time()
            for files in groups.values():
                for path in files:
                    daemon.send(path)
            daemon.wait(groups, 120 * len(groups) + 120, True)
            seconds = time.time() - start
            print(f"\n{len(groups)} tiles at once: {seconds:.1f} s, {seconds / len(groups):.1f} s a tile, "
                  f"{len(groups) * TILE_S / seconds:.1f} times the speed of the sky; an hour (12 tiles): "
                  f"{12 * seconds / len(groups) / 60:.1f} min (must: 4.5)")
            figures["all"] = dict(tiles=len(groups), seconds=seconds)
        print(json.dumps(figures))
    finally:
        for daemon in daemons:
            if daemon.process and daemon.process.poll() is None:
                daemon.stop()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
