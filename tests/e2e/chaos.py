"""Chaos beside a soak: calls of the daemon fail, databases are held by others for longer than a lease, the clock steps.

One thread, one trouble after the other: first each kind once, then at random until it is told to stop. While the daemon
starts there is calm: a start that meets a trouble may refuse with a sentence, and a service manager starts it again.
"""
import contextlib
import errno
import json
import pathlib
import random
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from faulty_calls import READING, WRITING, FaultyCalls, held, library  # noqa: E402,F401

DATABASES = ["ingest", "products", "cal_registry", "master_sources"]
ERRORS = {"open": [errno.EIO, errno.EACCES, errno.EMFILE], "create": [errno.EIO, errno.ENOSPC, errno.EROFS],
          "write": [errno.EIO, errno.ENOSPC], "fork": [errno.EAGAIN]}
STEPS_S = [3700, -3700, 90000, -90000, 40, -40]
# Settings under which the troubles last longer than what the daemon waits for.
ENVIRONMENT = {"CONTIMG_QUEUE_LEASE_S": "6", "CONTIMG_QUEUE_HEARTBEAT_S": "2", "CONTIMG_QUEUE_MAX_ATTEMPTS": "1000",
               "CONTIMG_DISK_CHECK_S": "1"}
LEASE_S = 6


class Chaos(threading.Thread):
    def __init__(self, root, staging, seed):
        super().__init__(daemon=True)
        self.root = root
        self.random = random.Random(seed)
        self.calls = FaultyCalls(root / "faults", [root / "scratch", root / "state", staging], seed=seed)
        self.environment = {**ENVIRONMENT, **self.calls.environment}
        self.troubles = threading.Lock()  # held while there is one
        self.interrupt, self.over = threading.Event(), threading.Event()
        self.done = []  # words for each
        self.once = ([("calls", [kind], 1.0) for kind in READING + WRITING + ["fork"]] +
                     [("held", name, None) for name in DATABASES] + [("step", seconds, None) for seconds in STEPS_S])
        self.random.shuffle(self.once)

    # --- for the soak ------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def calm(self):
        """No trouble within: the one at hand is ended."""
        self.interrupt.set()
        with self.troubles:
            self.interrupt.clear()
            yield

    def await_start(self, daemon):
        """The daemon answers, or has ended."""
        lock = self.root / "state" / "contimg-stream.lock"
        end = time.time() + 60
        while time.time() < end and daemon.poll() is None:
            with contextlib.suppress(OSError, ValueError, IndexError):
                pid, address = lock.read_text().split()
                if int(pid) == daemon.pid:
                    with urllib.request.urlopen(f"http://127.0.0.1:{address.rsplit(':', 1)[1]}/healthz", timeout=5) as answer:
                        if json.load(answer)["alive"]:
                            return
            time.sleep(0.05)

    def every_kind_was_there(self):
        return not self.once

    def stop(self):
        self.over.set()
        self.interrupt.set()
        self.join()

    def words(self):
        return f"{len(self.done)} troubles; calls made to fail: {self.calls.counts()}"

    # --- the thread ---------------------------------------------------------------------------------------------------
    def run(self):
        while not self.over.wait(0.5 + self.random.random()):
            with self.troubles:
                trouble = self.once.pop() if self.once else self.draw()
                self.done.append(trouble)
                if not self.carry_out(*trouble) and not self.over.is_set():
                    self.once.insert(0, trouble)  # cut short by a start

    def draw(self):
        what = self.random.random()
        if what < 0.6:
            kinds = self.random.sample(READING + WRITING, self.random.randint(1, 3))
            return "calls", kinds, self.random.choice([0.01, 0.1, 0.5, 1.0])
        if what < 0.8:
            return "step", self.random.choice(STEPS_S), None
        return "held", self.random.choice(DATABASES), None

    def carry_out(self, what, which, share):
        """False when it was interrupted."""
        if what == "step":
            self.calls.step(which)
            return not self.interrupt.wait(1)
        if what == "calls":
            error = self.random.choice(ERRORS.get(which[0], [errno.EIO]))
            with self.calls.failing(which, share, error):
                return not self.interrupt.wait(0.5 + 2.5 * self.random.random())
        database = self.root / "state" / f"{which}.sqlite3"
        if not database.exists():
            return True
        with held(database):
            return not self.interrupt.wait(1.5 * LEASE_S)
