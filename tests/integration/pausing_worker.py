#!/usr/bin/python3
"""Stands in for `contimg worker`: lets the true one run and stops it at a point of the test's choice, to be killed there.

    pausing_worker.py CONTIMG worker JOB.json

The folder PAUSE_FOLDER holds a file `plan` with the name of a stage, or "ended": after the worker's last deed, before the
daemon knows. There the worker is stopped, what it said so far goes to the daemon, and a file `paused` names its process.
Without a plan nothing is stopped.

The worker's words come through a pipe of one slot, besides the file of its progress: it cannot say two things before the first is taken, so it is
still inside the stage when its beginning has been seen.
"""
import ctypes
import fcntl
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import termios
import time

F_SETPIPE_SZ, PR_SET_PDEATHSIG = 1031, 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def waiting_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0]


def pause(folder, pid):
    """Stays here until killed, or until the test takes the plan back."""
    (folder / "paused.new").write_text(str(pid))
    (folder / "paused.new").rename(folder / "paused")
    while (folder / "plan").exists():
        time.sleep(0.02)


def main():
    folder = pathlib.Path(os.environ["PAUSE_FOLDER"])
    plan = (folder / "plan").read_text() if (folder / "plan").exists() else None
    reading, writing = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    worker = subprocess.Popen(sys.argv[1:], stdout=writing, preexec_fn=die_with_parent)
    os.close(writing)
    while True:
        if plan:
            while waiting_bytes(reading) == 0 and worker.poll() is None:
                time.sleep(0.001)
            if worker.poll() is None:
                worker.send_signal(signal.SIGSTOP)
        line = os.read(reading, 4096)
        if not line:
            break
        said = json.loads(line)
        if plan and said.get("stage") == plan and "fraction" in said:
            # It says a thing here before it writes it down for the daemon: that is done in its stead.
            with open(pathlib.Path(sys.argv[-1]).parent / "progress.jsonl", "ab") as progress:
                progress.write(line)
            pause(folder, worker.pid)
            plan = None
        if worker.poll() is None:
            worker.send_signal(signal.SIGCONT)
    status = worker.wait()
    if plan == "ended":
        pause(folder, os.getpid())
    if status < 0:
        os.kill(os.getpid(), -status)  # as the true one died
    return status


if __name__ == "__main__":
    sys.exit(main())
