"""Faults in a running daemon: system calls that fail, clocks that step (tests/shim/faulty_calls.cc, preloaded), databases
that somebody else holds."""
import contextlib
import ctypes
import errno
import mmap
import os
import pathlib
import sqlite3

KINDS = ["stat", "open", "list", "read", "create", "write", "sync", "rename", "fork"]
READING = ["stat", "open", "list", "read"]
WRITING = ["create", "write", "sync", "rename"]


class Control(ctypes.Structure):  # as in tests/shim/faulty_calls.cc
    _fields_ = [("mask", ctypes.c_uint32), ("per_million", ctypes.c_uint32), ("error", ctypes.c_int32),
                ("seed", ctypes.c_uint32), ("realtime_ns", ctypes.c_int64), ("monotonic_ns", ctypes.c_int64),
                ("n_faults", ctypes.c_uint64 * len(KINDS)), ("dies_after", ctypes.c_int64),
                ("power_cut", ctypes.c_uint32)]


def library():
    """The preloaded library beside the programs of the build, or None."""
    named = os.environ.get("CONTIMG_FAULTY_CALLS")
    return pathlib.Path(named) if named and pathlib.Path(named).exists() else None


class FaultyCalls:
    """`environment` makes a program carry the library; calls of `program` on paths below `folders` can be made to fail."""

    def __init__(self, file, folders, program="contimg-stream", seed=1):
        with open(file, "wb") as out:
            out.write(bytes(ctypes.sizeof(Control)))
        with open(file, "r+b") as mapped:
            self.map = mmap.mmap(mapped.fileno(), ctypes.sizeof(Control))
        self.control = Control.from_buffer(self.map)
        self.control.seed = seed
        self.environment = {"LD_PRELOAD": str(library()), "CONTIMG_FAULTS": str(file), "CONTIMG_FAULTS_IN": program,
                            "CONTIMG_FAULTS_BELOW": ":".join(str(folder) for folder in folders)}

    def begin(self, kinds, share=1.0, error=errno.EIO):
        """From now on this share of the calls of these kinds fails."""
        self.control.error = error
        self.control.per_million = round(share * 1e6)
        self.control.mask = sum(1 << KINDS.index(kind) for kind in kinds)

    def end(self):
        self.control.mask = 0
        self.control.dies_after = 0

    def die_before(self, kinds, number, power_cut=False):
        """The program dies before its call of this number, 1 and on, of these kinds; with a power cut, what it wrote
        and did not sync is gone."""
        self.control.power_cut = power_cut
        self.control.dies_after = number
        self.begin(kinds)

    def calls_left(self):
        """How many calls more it would have had to live."""
        return self.control.dies_after

    @contextlib.contextmanager
    def failing(self, kinds, share=1.0, error=errno.EIO):
        self.begin(kinds, share, error)
        try:
            yield self
        finally:
            self.end()

    def step(self, seconds):
        """The system's clock of the daemon and its workers jumps."""
        self.control.realtime_ns += round(seconds * 1e9)

    def skip(self, seconds):
        """Time passes at once: whatever waits for it is due. Both clocks."""
        self.control.monotonic_ns += round(seconds * 1e9)
        self.control.realtime_ns += round(seconds * 1e9)

    def counts(self):
        """How many calls of each kind have been made to fail."""
        return {kind: self.control.n_faults[n] for n, kind in enumerate(KINDS) if self.control.n_faults[n]}


@contextlib.contextmanager
def held(database):
    """Nobody else writes to the database meanwhile: an open write transaction of another program."""
    connection = sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()
