"""An installation with made-up products, and rclone remotes of several kinds, for the tests of archives."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

from daemon_under_test import free_port

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CONTIMG_BIN_DIR", SOURCE / "build/release/bin")).resolve()
DAY = "2025-10-13"
STAMP = f"{DAY}T13:28:03"
MJD = 60961.561146
OBJECT = f"images/{DAY}/2025-10-13T132803.images.tar"


def xxh64(data):
    """XXH64, seed 0, by its public specification."""
    p1, p2, p3, p4, p5 = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579,
                          2870177450012600261)
    mask = (1 << 64) - 1

    def rotate(value, n):
        return ((value << n) | (value >> (64 - n))) & mask

    def turn(acc, lane):
        return rotate((acc + lane * p2) & mask, 31) * p1 & mask
    n, at = len(data), 0
    if n >= 32:
        v = [(p1 + p2) & mask, p2, 0, (-p1) & mask]
        while n - at >= 32:
            for i in range(4):
                v[i] = turn(v[i], int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little"))
            at += 32
        acc = sum(rotate(x, r) for x, r in zip(v, (1, 7, 12, 18))) & mask
        for x in v:
            acc = ((acc ^ turn(0, x)) * p1 + p4) & mask
    else:
        acc = p5
    acc = (acc + n) & mask
    while n - at >= 8:
        acc = (rotate(acc ^ turn(0, int.from_bytes(data[at:at + 8], "little")), 27) * p1 + p4) & mask
        at += 8
    if n - at >= 4:
        acc = (rotate(acc ^ (int.from_bytes(data[at:at + 4], "little") * p1 & mask), 23) * p2 + p3) & mask
        at += 4
    for byte in data[at:]:
        acc = rotate(acc ^ (byte * p5 & mask), 11) * p1 & mask
    acc = ((acc ^ (acc >> 33)) * p2) & mask
    acc = ((acc ^ (acc >> 29)) * p3) & mask
    return f"{acc ^ (acc >> 32):016x}"


def product_checksum(path):
    if path.is_file():
        return xxh64(path.read_bytes())
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != "table.lock")
    return xxh64(b"".join(f"{xxh64(p.read_bytes())}  ".encode() + os.fsencode(p.relative_to(path)) + b"\n" for p in files))


def content(path):
    """What a product is: its files and their bytes."""
    if path.is_file():
        return path.read_bytes()
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*"))
            if p.is_file() and p.name != "table.lock"}


class CountingProxy(threading.Thread):
    """Passes connections on to a port of this machine and counts the bytes that come back."""

    def __init__(self, to):
        super().__init__(daemon=True)
        self.to, self.bytes = to, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, target, counted):
        try:
            while data := source.recv(65536):
                if counted:
                    self.bytes += len(data)
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if counted:  # one of the two pumps closes both
                each.close()


class ArchiveUnderTest:
    """A second base of a TestCase: begin() in setUp, end() in tearDown."""

    def begin(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-archive-"))
        self.scratch, self.state = self.root / "scratch", self.root / "state"
        for folder in ("scratch/incoming", "scratch/ms", f"scratch/images/single/{DAY}", "state", "lake", "tape"):
            (self.root / folder).mkdir(parents=True)
        self.config = self.root / "rclone.conf"
        self.servers = []
        self.remotes = [{"target": "lake:contimg"}]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("CONTIMG_", "RCLONE_"))}
        self.environment.update(
            CONTIMG_SCRATCH_DIR=str(self.scratch), CONTIMG_STATE_DIR=str(self.state),
            CONTIMG_ARCHIVE_AFTER_DAYS="0", CONTIMG_ARCHIVE_RCLONE_CONFIG=str(self.config), HOME=str(self.root))
        for name in ("lake", "tape"):
            self.add_remote(name, type="alias", remote=str(self.root / name))
        self.n_products = 0

    def end(self):
        for server in self.servers:
            server.kill()
            server.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    # --- remotes
    def obscured(self, text):
        """A password as rclone's configuration wants it."""
        return self.rclone("obscure", text).stdout.decode().strip()

    def add_remote(self, name, **keys):
        with open(self.config, "a") as file:
            file.write(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))

    def serve(self, kind, folder, *words, port=None):
        port = port or free_port()
        server = subprocess.Popen(["rclone", "serve", kind, "--addr", f"127.0.0.1:{port}", *words, str(folder)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)
        self.servers.append(server)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return server, port
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"rclone serve {kind} does not listen")

    def rclone(self, *words):
        return subprocess.run(["rclone", "--config", str(self.config), *map(str, words)], capture_output=True, check=False,
                              env=self.environment)

    def lying(self, verb, script):
        """A rclone that does what `script` says when its verb is `verb`, and is the true one otherwise ($REAL)."""
        folder = self.root / f"lying-{verb}"
        folder.mkdir()
        (folder / "rclone").write_text(f"#!/bin/bash\nREAL={shutil.which('rclone')}\n"
                                       f"if [ \"$1\" = {verb} ]; then {script}; fi\nexec \"$REAL\" \"$@\"\n")
        (folder / "rclone").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def watched(self, script):
        """A PATH on which every start of rclone carries out this before."""
        folder = self.root / "watched"
        folder.mkdir(exist_ok=True)
        (folder / "rclone").write_text(f"#!/bin/bash\n{script}\nexec {shutil.which('rclone')} \"$@\"\n")
        (folder / "rclone").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    # --- commands
    def command(self, *words, **more):
        remotes = "[" + ", ".join("{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in each.items()) + "}"
                                  for each in self.remotes) + "]"
        return ([str(BIN / "contimg"), *map(str, words)], {**self.environment, "CONTIMG_ARCHIVE_REMOTES": remotes, **more})

    def contimg(self, *words, **more):
        arguments, environment = self.command(*words, **more)
        return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)

    def good(self, *words, **more):
        done = self.contimg(*words, **more)
        self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def refused(self, status, *words, **more):
        """Fails with this status and (behind warnings) one sentence, which it gives."""
        done = self.contimg(*words, **more)
        self.assertEqual(done.returncode, status, f"{words}\n{done.stdout}{done.stderr}")
        sentences = [line for line in done.stderr.splitlines()
                     if line.startswith("contimg: ") and not line.startswith("contimg: warning: ")]
        self.assertEqual(len(sentences), 1, done.stderr)
        return sentences[0]

    def archive(self, **more):
        return json.loads(self.good("archive", "--apply", "--json", **more))["result"]

    # --- products
    def lose_the_state(self):
        for path in self.state.iterdir():
            if path.is_file():
                path.unlink()

    def rows(self, query, *values, database="products"):
        connection = sqlite3.connect(self.state / f"{database}.sqlite3", timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    def make_databases(self):
        self.good("archive", "--apply")  # makes them, and finds nothing to do

    def record(self, path, kind="image.pbcor", group=STAMP, parents=(), checksum=None):
        if not (self.state / "products.sqlite3").exists():
            self.make_databases()
        n_bytes = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
        checksum = product_checksum(path) if checksum is None else checksum
        self.rows("INSERT INTO products (kind, path, group_id, start_mjd, end_mjd, size_bytes, checksum, qa_json, qa_grade,"
                  " status, archive_path, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, '{\"rms\": 1}', 'A', 'present',"
                  " '', 1, 1) ON CONFLICT (path) DO UPDATE SET checksum = excluded.checksum, size_bytes = excluded.size_bytes,"
                  " sha256 = NULL, status = 'present'", kind, str(path), group, MJD, MJD + 0.0036, n_bytes, checksum)
        row = self.rows("SELECT id FROM products WHERE path = ?", str(path))[0]["id"]
        for parent in parents:
            self.rows("INSERT INTO lineage (child_id, parent_id) VALUES (?, ?)", row, parent)
        return row

    def image(self, name=f"{STAMP}.image.pbcor.fits", size=20000, group=STAMP, data=None, **more):
        path = self.scratch / "images/single" / DAY / name
        path.write_bytes(os.urandom(size) if data is None else data)
        return self.record(path, group=group, **more), path

    def table(self, name=f"{STAMP}_24h.gpcal"):
        path = self.scratch / "ms/calibrators" / DAY / name
        for file, size in (("table.dat", 3000), ("table.f0", 70000), ("ANTENNA/table.f0", 0), ("table.lock", 300)):
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(os.urandom(size))
        return self.record(path, kind="caltable"), path

    def let_go(self, *paths):
        """As cleanup leaves it: the file gone, the record archived, the purge done."""
        for path in paths:
            self.rows("UPDATE products SET status = 'archived' WHERE path = ?", str(path))
            self.rows("INSERT INTO purges (product_id, class, path, bytes, rule, actor, state, at, finished_at) SELECT id,"
                      " 'images', path, size_bytes, 'test', 'test', 'removed', 1, 2 FROM products WHERE path = ?", str(path))
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    # --- what came of it
    def manifest(self, name, folder="lake"):
        return json.loads((self.root / folder / "contimg" / (name + ".json")).read_text())

    def copies(self, state="verified", remote=None):
        return [row for row in self.rows("SELECT * FROM archives ORDER BY id")
                if row["state"] == state and remote in (None, row["remote"])]

    def objects(self, folder="lake"):
        root = self.root / folder
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and p.name != "contimg-archive.json")

    def outbox(self):
        return [p for p in (self.scratch / "archive").rglob("*") if p.is_file()]

    def assert_at_rest(self, *folders):
        """Nothing half: no part names, an empty outbox, and every verified object is what it is recorded as."""
        for folder in folders or ("lake",):
            self.assertEqual([name for name in self.objects(folder) if ".part-" in name], [])
        self.assertEqual(self.outbox(), [])
        for row in self.copies():
            file = self.root / row["remote"] / "contimg" / row["object"]
            if file.exists():
                self.assertEqual(hashlib.sha256(file.read_bytes()).hexdigest(), row["sha256"])
                self.assertEqual(json.loads(pathlib.Path(f"{file}.json").read_text())["sha256"], row["sha256"])


def kill(process):
    """It and all that it started."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
