#!/usr/bin/python3
"""A month at the full rate of a telescope through the programs that keep the place in order.

Groups of true proportions (tests/month/made_up_stream.cc) fill a small scratch disk; contimg archive, cleanup, backup and
verify run as their timers would, on a clock that is moved on, contimg-stream runs beside them on the same state and tree,
and all are killed at random; of two remotes one is away for a week, one is full for a day, an object is damaged, one is
lost. At the end:

  * every product is there, or has the verified copies that the policy asks for, or was let go by it: nothing is lost
  * files and records agree, byte for byte, and nothing is half there
  * the disk was above its target nearly always (99 % of the samples, four a second) and never below the critical watermark
  * nothing was let go twice

    tests/month/month.py --bin build/release/bin [--groups 8400] [--kills 200] [--seed 1] [--keep] [--defaults]

--defaults: with the settings as they come, on a disk that holds all of it, nothing is let go: not one file.
Needs root, for the small disks; 77: it cannot mount them here, or has no rclone. TMPDIR=/dev/shm spares the disk.
"""
import argparse
import contextlib
import hashlib
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
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from faulty_calls import FaultyCalls, library  # noqa: E402

GROUPS_A_DAY = 280
FIRST = 1759276800  # 2025-10-01T00:00:00
GROUP_BYTES = 16 * 8192 + 232 * 1024 + 5 * 8192 + 12288  # on a disk of 4 kB blocks


class Month:
    def __init__(self, args):
        self.args, self.random = args, random.Random(args.seed)
        self.bin = pathlib.Path(args.bin).resolve()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-month-"))
        self.scratch, self.state = self.root / "scratch", self.root / "state"
        self.remotes = [self.root / "remote-a", self.root / "remote-b"]
        self.mounts, self.samples, self.durations, self.times, self.hurt = [], [], {}, {}, {}
        self.n_killed = {"contimg": 0, "contimg-stream": 0}
        self.daemon, self.killer, self.over = None, None, threading.Event()
        self.disk_bytes = args.disk_groups * GROUP_BYTES
        self.target = round(0.25 * self.disk_bytes)
        self.critical = round(0.05 * self.disk_bytes)
        for folder in (self.state, self.root / "backups", *self.remotes):
            folder.mkdir()
        self.mount(self.scratch, self.disk_bytes)
        if not args.defaults:
            self.mount(self.remotes[1], 2 * args.groups * GROUP_BYTES)
        self.calls = FaultyCalls(self.root / "clock", [self.root / "nothing"], program="none", seed=args.seed)
        self.settings = self.root / "contimg.toml"
        self.write_settings()

    def write_settings(self):
        staging = self.scratch / "staging"
        text = (f'[paths]\nscratch_dir = "{self.scratch}"\nstate_dir = "{self.state}"\nstaging_dir = "{staging}"\n'
                f'[http]\nlisten = "127.0.0.1:0"\n[backup]\ndir = "{self.root / "backups"}"\n')
        if not self.args.defaults:
            # Room for the groups until the next round and for what lies in the outbox meanwhile (of two threads as many
            # objects as go together, a third of a group each).
            free = self.target + (2 * self.args.batch + min(48, 2 * self.args.batch)) * GROUP_BYTES
            text += (f'[disk]\ncritical_free_bytes = {self.critical}\nwarn_free_bytes = {2 * self.critical}\n'
                     f'[archive]\ncopies = 1\nclasses = "{self.args.classes}"\nafter_days = 0\n'
                     f'rclone_config = "{self.root / "rclone.conf"}"\n'
                     + "".join(f'[[archive.remotes]]\nname = "{path.name}"\ntarget = "{path}"\nretries = 1\n'
                               for path in self.remotes)
                     + f'[retention]\nincoming_days = 7\nscience_ms_days = 7\nimages_days = 90\nmin_free_bytes = {free}\n'
                       'max_share = 1.0\nrequire_incoming = "archived"\nrequire_science_ms = "regenerable"\n')
        (self.root / "rclone.conf").touch()
        self.settings.write_text(text)

    # --- the place
    def mount(self, folder, size):
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(self.root)
            sys.exit(77)
        self.mounts.append(folder)

    def end(self):
        self.over.set()
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()
        for folder in reversed(self.mounts):
            subprocess.run(["umount", "-l", folder], check=False)
        if self.args.keep:
            print("kept", self.root)
        else:
            shutil.rmtree(self.root, ignore_errors=True)

    def environment(self):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        return {**clean, **self.calls.environment, "CONTIMG_CONFIG": str(self.settings)}

    def at(self, groups):
        """The clock of the programs stands at the end of so many groups."""
        now = FIRST + groups * 86400 / GROUPS_A_DAY + 500
        self.calls.control.realtime_ns = round((now - time.time()) * 1e9)

    # --- programs
    def run(self, *words, allowed=(0,), kill=False):
        """A program to its end; with `kill` it may be killed on the way, and is then run again."""
        while True:
            process = subprocess.Popen([self.bin / "contimg", *map(str, words)], env=self.environment(), text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
            if kill and self.n_killed["contimg"] < self.args.kills // 2 and self.random.random() < self.kill_share:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self.random.random() * self.durations.get(words[0], 0.5))
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
                    self.n_killed["contimg"] += 1
                    continue
            began = time.monotonic()
            out, err = process.communicate()
            if process.returncode == 0:
                self.durations[words[0]] = time.monotonic() - began
            self.times[words[0]] = self.times.get(words[0], 0) + time.monotonic() - began
            if process.returncode not in allowed:
                raise AssertionError(f"contimg {' '.join(map(str, words))}: {process.returncode}\n{out}\n{err}")
            return process.returncode, out, err

    @property
    def kill_share(self):
        return min(0.5, self.args.kills * self.args.batch / self.args.groups / 3)

    def start_daemon(self):
        """It lives until it is killed, some time before the next files come, or when they do."""
        with open(self.root / "daemon.log", "ab") as log:
            self.daemon = subprocess.Popen([self.bin / "contimg-stream"], env=self.environment(), stdout=log, stderr=log,
                                           start_new_session=True)
        self.killer = threading.Timer(self.random.random() * 1.5 * self.durations.get("round", 5), self.daemon.kill)
        self.killer.start()

    def end_daemon(self):
        if self.daemon is None:
            return
        in_peace = self.random.random() < 0.1 or self.n_killed["contimg-stream"] >= self.args.kills // 2
        if self.daemon.poll() is None and self.killer.is_alive() and in_peace:
            self.daemon.terminate()  # one in ten ends in peace
            self.killer.cancel()
            if self.daemon.wait(60) != 0:
                raise AssertionError(f"contimg-stream ended with status {self.daemon.returncode}")
        self.daemon.kill()
        self.killer.cancel()
        status = self.daemon.wait()
        if status not in (0, -signal.SIGKILL):
            log = (self.root / "daemon.log").read_text()[-2000:]
            raise AssertionError(f"contimg-stream ended with status {status}:\n{log}")
        self.n_killed["contimg-stream"] += status != 0
        self.daemon = None

    def sample(self):
        while not self.over.wait(0.25):
            disk = os.statvfs(self.scratch)
            self.samples.append(disk.f_bavail * disk.f_frsize)

    # --- troubles
    def troubles(self, done):
        """What happens after so many groups: a remote goes and comes back, one is full, objects suffer."""
        day = self.args.groups / 30
        a, b = self.remotes
        away = a.with_name("away")
        if 8 * day <= done < 15 * day and a.exists():
            a.rename(away)
        elif done >= 15 * day and away.exists():
            if a.exists():
                shutil.rmtree(a)  # nothing may have been made in place of what is not mounted
            away.rename(a)
        used = sum(f.stat().st_blocks * 512 for f in b.rglob("*"))
        size = used + 400 * 1024 if 20 * day <= done < 21 * day else 2 * self.args.groups * GROUP_BYTES
        subprocess.run(["mount", "-o", f"remount,size={size}", b], check=True)
        for number, at in enumerate((5 * day, 25 * day)):
            if done >= at and number not in self.hurt:
                objects = sorted(f for f in b.rglob("*.tar"))
                if not objects:
                    continue
                victim = self.random.choice(objects)
                if number == 0:
                    content = bytearray(victim.read_bytes())
                    content[len(content) // 2] ^= 1
                    victim.write_bytes(content)
                else:
                    victim.unlink()
                self.hurt[number] = str(victim.relative_to(b))

    # --- the month
    def go(self):
        args = self.args
        began, done, day = time.monotonic(), 0, -1
        sampler = threading.Thread(target=self.sample, daemon=True)
        sampler.start()
        while done < args.groups:
            round_began = time.monotonic()
            n = min(args.batch, args.groups - done)
            self.at(done + n)
            subprocess.run([self.bin / "made_up_stream", self.scratch, self.state, str(done), str(n), str(args.seed)], check=True)
            done += n
            if self.random.random() < args.kills * args.batch / args.groups / 1.8:
                self.start_daemon()
            if not args.defaults:
                self.troubles(done)
                # 1: something could not be copied, or not enough could be let go, which is said
                self.run("archive", "--apply", "--json", allowed=(0, 1), kill=True)
            self.run("cleanup", "--apply", "--json", allowed=(0,) if args.defaults else (0, 1), kill=True)
            if done * 30 // args.groups != day:
                day = done * 30 // args.groups
                self.run("backup", "--json", kill=True)
                self.run("verify", "--share", "0.02", "--json", allowed=(0, 1, 3), kill=True)
                print(f"day {day}: {done} groups, killed {self.n_killed}, {self.samples[-1] / self.disk_bytes:.0%} free, "
                      f"{time.monotonic() - began:.0f} s", flush=True)
            self.end_daemon()
            self.durations["round"] = time.monotonic() - round_began
        self.over.set()
        sampler.join()
        if args.defaults:
            return self.check_nothing_is_let_go()
        for _ in range(3):  # everything is back: what was left over is made good
            self.run("verify", "--archive", "--share", "1", "--json", allowed=(0, 1, 3))
            self.run("archive", "--apply", "--json", allowed=(0, 1))
            self.run("cleanup", "--apply", "--json", allowed=(0, 1))
        return self.check()

    def check(self):
        faults = []
        db = sqlite3.connect(self.state / "products.sqlite3")
        rows = db.execute("""SELECT id, path, status, size_bytes, kind FROM products""").fetchall()
        copies = dict(db.execute("SELECT product_id, count(*) FROM product_copies WHERE state = 'verified' GROUP BY product_id"))
        removed = dict(db.execute("SELECT product_id, count(*) FROM purges WHERE state = 'removed' GROUP BY product_id"))
        regenerable = {"science_ms"}
        present = set()
        for number, path, status, size, kind in rows:
            here = pathlib.Path(path)
            if status == "present":
                if not here.exists():
                    faults.append(f"lost: {path}")
                else:
                    present.add(here)
                    found = sum(f.stat().st_size for f in here.rglob("*") if f.is_file()) if here.is_dir() else here.stat().st_size
                    if found != size:
                        faults.append(f"{path}: {found} bytes, recorded {size}")
            else:
                if here.exists():
                    faults.append(f"{status}, but there: {path}")
                if copies.get(number, 0) < 1 and kind not in regenerable:
                    faults.append(f"{status} without a verified copy: {path}")
                if removed.get(number, 0) != 1:
                    faults.append(f"{status}, let go {removed.get(number, 0)} times: {path}")
        parents = db.execute("""SELECT c.path, p.id FROM products c JOIN lineage l ON l.child_id = c.id JOIN products p ON
            p.id = l.parent_id WHERE c.status <> 'present' AND c.kind = 'science_ms' AND p.status <> 'present'""").fetchall()
        for path, parent in parents:
            if copies.get(parent, 0) < 1:
                faults.append(f"let go as regenerable, but its input has no verified copy: {path}")
        unfinished = db.execute("SELECT count(*) FROM purges WHERE state IN ('planned', 'hidden')").fetchone()[0]
        if unfinished:
            faults.append(f"{unfinished} purges are not finished")
        for folder, folders, files in os.walk(self.scratch):
            for name in folders + files:
                if ".purge-" in name or ".part-" in name:
                    faults.append(f"half there: {folder}/{name}")
            if folder.endswith(".ms") or ".kcal" in folder or ".bpcal" in folder or ".gpcal" in folder:
                folders.clear()
                if pathlib.Path(folder) not in present:
                    faults.append(f"not on record as present: {folder}")
            else:
                faults += [f"not on record as present: {folder}/{name}" for name in files
                           if not name.startswith(".contimg") and pathlib.Path(folder, name) not in present
                           and "archive" not in pathlib.Path(folder).relative_to(self.scratch).parts[:1]]
        above = sum(free >= self.target for free in self.samples[1:]) / max(len(self.samples) - 1, 1)
        lowest = min(self.samples)
        if lowest < self.critical:
            faults.append(f"{lowest} bytes free once, the critical watermark is {self.critical}")
        if above < 0.99:
            faults.append(f"above the target in {above:.1%} of the samples")
        db.close()
        objects = self.check_remotes(faults)
        groups = dict(sqlite3.connect(self.state / "ingest.sqlite3").execute(
            "SELECT state, count(*) FROM groups WHERE id NOT LIKE '%/%' GROUP BY state"))
        if groups != {"done": self.args.groups}:
            faults.append(f"groups are no longer done: {groups}")
        verified = sum(1 for n in copies.values() if n)
        print(f"{self.args.groups} groups, {len(rows)} products, {len(present)} on disk, {verified} with verified copies in "
              f"{objects} objects, {sum(removed.values())} let go, killed {self.n_killed}; hurt: {self.hurt}; above the "
              f"target in {above:.2%} of {len(self.samples)} samples, lowest {lowest / self.disk_bytes:.1%} free; "
              + ", ".join(f"{word} {seconds:.0f} s" for word, seconds in self.times.items()))
        return self.report(faults)

    def check_remotes(self, faults):
        """Objects are what the records say; nothing is there but them, their manifests and the marks."""
        db = sqlite3.connect(self.state / "products.sqlite3")
        known = {(remote, name): (sha256, state) for remote, name, sha256, state in
                 db.execute("SELECT remote, object, sha256, state FROM archives")}
        for (remote, name), (sha256, state) in known.items():
            if state not in ("copied", "verified"):
                continue
            file = self.root / remote / name
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
                faults.append(f"{state}, but not what was recorded: {file}")
            elif json.loads(pathlib.Path(f"{file}.json").read_text())["sha256"] != sha256:
                faults.append(f"not its manifest: {file}.json")
        for remote in self.remotes:
            for file in remote.rglob("*"):
                name = str(file.relative_to(remote))
                if file.is_file() and name != "contimg-archive.json" and (remote.name, name.removesuffix(".json")) not in known:
                    faults.append(f"on no record: {file}")
        return sum(state == "verified" for _, state in known.values())

    def check_nothing_is_let_go(self):
        db = sqlite3.connect(self.state / "products.sqlite3")
        made = [pathlib.Path(path) for path, in db.execute("SELECT path FROM products")]
        n_gone = sum(not path.exists() for path in made)
        n_files = sum(len(list(path.rglob("*"))) if path.is_dir() else 1 for path in made)
        statuses = dict(db.execute("SELECT status, count(*) FROM products GROUP BY status"))
        print(f"{self.args.groups} groups, {len(made)} products in {n_files} files {statuses}, {n_gone} let go, "
              f"killed {self.n_killed}")
        faults = [f"{n_gone} products are gone"] if n_gone or set(statuses) != {"present"} else []
        faults += [f"{n} purges" for n, in db.execute("SELECT count(*) FROM purges") if n]
        return self.report(faults)

    @staticmethod
    def report(faults):
        for fault in faults[:30]:
            print("FAULT", fault)
        print(f"{len(faults)} faults")
        return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--groups", type=int, default=8400)
    parser.add_argument("--batch", type=int, default=28, help="groups between two rounds of archive and cleanup")
    parser.add_argument("--disk-groups", type=int, default=400, help="groups that fit on the scratch disk")
    parser.add_argument("--classes", default="incoming,caltables,images,qa")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defaults", action="store_true")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    if args.defaults:
        args.disk_groups = round(1.3 * args.groups) + 20
    if library() is None or shutil.which("rclone") is None:
        print("needs CONTIMG_FAULTY_CALLS and rclone")
        sys.exit(77)
    month = Month(args)
    try:
        sys.exit(month.go())
    finally:
        month.end()


if __name__ == "__main__":
    main()
