"""A real contimg-stream on folders of its own, as the tests from outside drive it: started as a service is, fed files,
asked and ended."""
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CONTIMG_BIN_DIR", SOURCE / "build/release/bin")).resolve()


def wait_for(condition, seconds=60, step=0.1, what="it"):
    """The first true value of condition(), or a failure that says what it was last; `what` may be a function, too."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what}: not within {seconds} s; last: {value!r}")
        time.sleep(step)


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def simulate(folder, *words):
    """Simulated tiles below `folder`, their truth in `<folder>-truth`; gives their stamps in order."""
    folder = pathlib.Path(folder)
    subprocess.run([BIN / "contimg", "simulate", "--out", folder, "--truth", f"{folder}-truth", "--quiet",
                    *map(str, words)], check=True)
    return sorted({path.name.split("_sb")[0] for path in folder.glob("*.hdf5")})


def ended(pid):
    """No such process, or one that is dead and waits for a parent to say so (PID 1 of a container may never do)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class DaemonUnderTest:
    """Used alone or as a second base of a TestCase: begin() in setUp, end() in tearDown."""

    def begin(self, name="daemon", **settings):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"contimg-{name}-"))
        self.staging = pathlib.Path(f"/dev/shm/{self.root.name}")
        self.incoming = self.root / "scratch/incoming"
        self.incoming.mkdir(parents=True)
        (self.root / "state").mkdir()
        self.bin = BIN
        self.processes = []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        self.environment.update(
            CONTIMG_SCRATCH_DIR=str(self.root / "scratch"), CONTIMG_STATE_DIR=str(self.root / "state"),
            CONTIMG_STAGING_DIR=str(self.staging), CONTIMG_HTTP_LISTEN="127.0.0.1:0", CONTIMG_INGEST_STABLE_S="0.5",
            # A test must run on whatever disks there are.
            CONTIMG_DISK_WARN_FREE_BYTES="1000000", CONTIMG_DISK_CRITICAL_FREE_BYTES="500000",
            CONTIMG_DISK_WARN_USED_FRACTION="0.999", CONTIMG_DISK_CRITICAL_USED_FRACTION="0.9999",
            CONTIMG_DISK_STAGING_WARN_USED_FRACTION="0.999", CONTIMG_DISK_STAGING_CRITICAL_USED_FRACTION="0.9999")
        self.environment.update(settings)

    def end(self, keep=False):
        """Kills what was started and removes the folders, or leaves them for a look."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        if keep:
            print(f"kept: {self.root}")
            return
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.staging, ignore_errors=True)

    # --- the process -----------------------------------------------------------------------------------------------
    def start(self, wait=True, prefix=(), **more):
        with open(self.root / "log", "ab") as log:
            process = subprocess.Popen([*prefix, self.bin / "contimg-stream"], env={**self.environment, **more},
                                       stdout=log, stderr=log)
        self.processes.append(process)

        def answers():
            if process.poll() is not None:
                raise AssertionError(f"the daemon ended with status {process.returncode}:\n{self.log()}")
            return self.port() and self.get("/healthz")[0] == 200
        if wait:
            wait_for(answers, 60, what="the daemon answers")
        return process

    def replace_worker(self, script, checker='exec "$REAL" "$@"'):
        """From now on workers are this shell script, and what reads headers is `checker`; $REAL is the true program."""
        self.bin = self.root / "bin"
        self.bin.mkdir()
        shutil.copy(BIN / "contimg-stream", self.bin)
        worker = self.bin / "contimg"
        worker.write_text(f"#!/bin/bash\nREAL={BIN}/contimg\n"
                          f"if [ \"$1\" != worker ]; then exec \"$REAL\" \"$@\"; fi\n"
                          f"if [ \"$2\" = --check-files ]; then {checker}; exit; fi\n{script}\n")
        worker.chmod(worker.stat().st_mode | stat.S_IXUSR)

    # --- what goes in ----------------------------------------------------------------------------------------------
    def send(self, stamp, subbands=None, pool=None):
        """Gives it the files of a tile below `pool` (default: self.pool), each by a rename."""
        for path in sorted((pool or self.pool).glob(f"{stamp}_sb??.hdf5")):
            if subbands is not None and int(path.stem[-2:]) not in subbands:
                continue
            part = self.incoming / f".{path.name}.part"
            shutil.copyfile(path, part)
            part.rename(self.incoming / path.name)

    # --- what comes out --------------------------------------------------------------------------------------------
    def let_the_disk_shrink(self, bytes_an_hour=10**9, disk=None):
        """As a service that starts now remembers it, for a day: else nothing is forecast."""
        disk, hour = shutil.disk_usage(disk or self.root), int(time.time() // 3600)
        (self.root / "state/disk_history.json").write_text(json.dumps(
            {"size_bytes": disk.total, "hours": [[hour - n, disk.free + n * bytes_an_hour] for n in range(24, 0, -1)]}))

    def log(self):
        return (self.root / "log").read_text()

    def port(self):
        try:
            words = (self.root / "state/contimg-stream.lock").read_text().split()
        except FileNotFoundError:
            return None
        return int(words[1].rsplit(":", 1)[1]) if len(words) == 2 else None

    def url(self, path):
        return f"http://127.0.0.1:{self.port()}{path}"

    def fetch(self, path, method="GET", headers=None):
        """Status, headers and body; status None: nobody answers."""
        request = urllib.request.Request(self.url(path), method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except (urllib.error.URLError, ConnectionError):
            return None, {}, b""

    def get(self, path):
        status, _, body = self.fetch(path)
        return status, body.decode()

    def status(self):
        return json.loads(self.get("/api/v1/status")[1])

    def metric(self, name):
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return None

    def contimg(self, *words):
        return subprocess.run([BIN / "contimg", *map(str, words)], env=self.environment, capture_output=True, text=True,
                              check=False)

    def answer(self, *words):
        """What a command that must succeed prints."""
        done = self.contimg(*words)
        if done.returncode != 0:
            raise AssertionError(f"contimg {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def read(self, *words):
        return json.loads(self.answer(*words, "--json"))

    def groups(self):
        return {row["id"]: row for row in json.loads(self.contimg("queue", "list", "--json").stdout or "[]")}

    def state(self, stamp):
        return self.groups().get(stamp, {}).get("state")

    def becomes(self, stamp, state, seconds=180):
        """Waits for the state; another one in which a group rests is a failure that shows the group and the log."""
        def reached():
            now = self.state(stamp)
            if now in ("dead", "done", "held") and now != state:
                raise AssertionError(f"{stamp} is {now}, not {state}\n{self.answer('queue', 'show', stamp)}\n{self.log()}")
            return now == state
        wait_for(reached, seconds, what=lambda: f"{stamp} becomes {state}\n{self.log()}")
