#!/usr/bin/python3
"""A fault of every kind in live services, made from outside: its alert reaches a listener that imitates Slack once,
through a real Prometheus and a real Alertmanager, and is resolved after the cure.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/alert_faults_test.py [-v]

Three services side by side: one whose disks, backups, copies and products are in trouble, one whose workers fail, one
whose array does.
"""
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import own_mounts
from alerts_under_test import Peers
from daemon_under_test import DaemonUnderTest, free_port, simulate, wait_for

SMALL = ["--antennas", 4, "--integrations", 2, "--channels", 4]
# Tiles of 154.6 s: one without a source that can be solved on, one with, one of which antennas are lost, one with all.
ARRAY = ["--antennas", 20, "--integrations", 12, "--channels", 1, "--dec", 16.1, "--gains", "0.2,180", "--delays", 5,
         "--seed", 5]
STARTS = ["2025-10-13T13:02:00", "2025-10-13T13:28:03", "2025-10-13T13:31:00", "2025-10-13T13:34:00"]
OF_THE_PLACE = ["ContimgScratchDiskLow", "ContimgScratchDiskWillFill", "ContimgStagingFull", "ContimgNoData",
                "ContimgBackupStale", "ContimgArchiveStale", "ContimgIntegrityFailure"]
OF_THE_WORK = ["ContimgFailureBurst", "ContimgGroupsDead"]
OF_THE_SKY = ["ContimgCalibrationMissing", "ContimgAntennasWithoutSky"]


def sky_tiles(folder):
    """The stamps, a catalogue of what is in them."""
    sky, lines = [], ["name,ra_deg,dec_deg,flux_jy,alpha"]
    for start, jy in zip(STARTS[1:], (20, 10, 12)):
        simulate(folder / "probe", "--antennas", 2, "--integrations", 12, "--channels", 1, "--subbands", 1, "--dec", 16.1,
                 "--start", start, "--tiles", 1)
        ra, dec = json.loads((folder / f"probe-truth/truth_{start}.json").read_text())["centre"]
        sky += ["--source", f"{ra},{dec},{jy},0"]
        lines.append(f"source{jy},{ra},{dec},{jy},0")
    for number, start in enumerate(STARTS):
        simulate(folder / "sky", *ARRAY, "--start", start, "--tiles", 1, *sky, *(["--dead", 3] if number == 2 else []))
    (folder / "catalogue.csv").write_text("\n".join(lines) + "\n")
    return folder / "sky"


class AlertFaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-alerts-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.stamps = simulate(cls.folder / "tiles", "--tiles", 6, *SMALL)
        cls.sky = sky_tiles(cls.folder)

    def setUp(self):
        if not Peers.installed():
            self.skipTest("prometheus and prometheus-alertmanager are not installed")

    def daemon(self, name, pool, **settings):
        """One with settings that keep it silent unless something is wrong, and a port of its own."""
        daemon = DaemonUnderTest()
        daemon.begin(f"alerts-{name}", CONTIMG_DISK_CHECK_S="1", CONTIMG_INGEST_STABLE_S="0.2",
                     CONTIMG_HTTP_LISTEN=f"127.0.0.1:{free_port()}", CONTIMG_INGEST_NO_DATA_AFTER_S="0", **settings)
        self.addCleanup(daemon.end)
        daemon.pool = pool
        return daemon

    def end_of(self, daemon):
        daemon.processes[-1].send_signal(signal.SIGTERM)
        self.assertEqual(daemon.processes[-1].wait(60), 0, daemon.log())

    # --- the place: disks, backups, copies, products, files that come --------------------------------------------------
    def begin_place(self):
        """A month old, with a product, and all that is wrong with it happened while it did not run."""
        place = self.place = self.daemon("place", self.folder / "tiles", CONTIMG_IMAGE_ENABLED="false",
                                         CONTIMG_CALIBRATE_POLICY="uncalibrated", CONTIMG_FLAG_ENABLED="false")
        scratch = own_mounts.mount(self, place.root / "disk", "100m")
        staging = own_mounts.mount(self, place.root / "staging", "20m")
        remote, self.remote_port = place.root / "remote", free_port()
        remote.mkdir()
        (place.root / "rclone.conf").write_text(
            f"[far]\ntype = webdav\nurl = http://127.0.0.1:{self.remote_port}\nvendor = other\n")
        place.environment.update(
            CONTIMG_OUTPUT_DIR=str(scratch), CONTIMG_STAGING_DIR=str(staging), CONTIMG_INTEGRITY_EVERY_H="0",
            CONTIMG_DISK_WARN_FREE_BYTES="70000000", CONTIMG_DISK_CRITICAL_FREE_BYTES="10000000",
            CONTIMG_DISK_STAGING_WARN_USED_FRACTION="0.9",
            CONTIMG_DISK_STAGING_CRITICAL_USED_FRACTION="0.95", CONTIMG_INGEST_NO_DATA_AFTER_S="20",
            CONTIMG_BACKUP_DIR=str(place.root / "backups"),
            CONTIMG_ARCHIVE_CLASSES="science_ms", CONTIMG_ARCHIVE_AFTER_DAYS="0",
            CONTIMG_ARCHIVE_RCLONE_CONFIG=str(place.root / "rclone.conf"),
            CONTIMG_ARCHIVE_REMOTES='[{target = "far:contimg", retries = 1, timeout_s = 20}]')
        place.start()
        place.send(self.stamps[0])
        place.becomes(self.stamps[0], "done")
        self.end_of(place)

        identity = place.root / "state/identity.json"
        identity.write_text(json.dumps({**json.loads(identity.read_text()), "since": "2025-10-13T12:00:00Z"}))
        (scratch / "ballast").write_bytes(bytes(40_000_000))
        place.let_the_disk_shrink(10**6, disk=scratch)
        (staging / "ballast").write_bytes(bytes(20_000_000))
        self.assertNotEqual(place.contimg("archive", "--apply").returncode, 0)  # nobody answers there
        self.damaged = max(next(scratch.rglob("*.ms")).rglob("table.f*"), key=lambda path: path.stat().st_size)
        self.content = self.damaged.read_bytes()
        self.damaged.write_bytes(bytes([self.content[0] ^ 1]) + self.content[1:])
        self.assertNotEqual(place.contimg("verify", "--local", "--share", "1").returncode, 0)
        place.start()

    def cure_place(self):
        place = self.place
        (place.root / "disk/ballast").unlink()
        (place.root / "staging/ballast").unlink()
        (place.root / "backups").mkdir()
        place.answer("backup")
        self.damaged.write_bytes(self.content)
        place.answer("verify", "--local", "--share", "1")
        server = subprocess.Popen(["rclone", "serve", "webdav", "--addr", f"127.0.0.1:{self.remote_port}",
                                   place.root / "remote"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_for(lambda: place.contimg("archive", "--apply").returncode == 0, 60, what="the archive takes copies")
        # Files again, now and then, until the end.
        stop = threading.Event()

        def trickle():
            for stamp in self.stamps[1:]:
                for subband in range(16):
                    place.send(stamp, [subband])
                    if stop.wait(4):
                        return
        files = threading.Thread(target=trickle)
        files.start()
        self.addCleanup(files.join)
        self.addCleanup(stop.set)

    # --- the work: a disk without room for products, a worker that crashes ---------------------------------------------
    def begin_work(self):
        work = self.work = self.daemon(
            "work", self.folder / "tiles", CONTIMG_IMAGE_ENABLED="false", CONTIMG_CALIBRATE_POLICY="uncalibrated",
            CONTIMG_FLAG_ENABLED="false", CONTIMG_QUEUE_BACKOFF_FIRST_S="0.5", CONTIMG_QUEUE_BACKOFF_LIMIT_S="1",
            CONTIMG_QUEUE_MAX_ATTEMPTS="1000")
        output = own_mounts.mount(self, work.root / "disk", "300k")
        work.environment.update(CONTIMG_OUTPUT_DIR=str(output), CONTIMG_DISK_WARN_FREE_BYTES="2",
                                CONTIMG_DISK_CRITICAL_FREE_BYTES="1")
        # The newest goes first, however often the others are tried again.
        *self.others, self.crashing = self.stamps[:4]
        work.replace_worker(f"if [ ! -e {work.root}/go ] && grep -q {self.crashing} \"$2\"; then kill -SEGV $$; fi\n"
                            "exec \"$REAL\" \"$@\"")
        work.start()

    def trouble_work(self):
        for stamp in (self.crashing, *self.others):
            self.work.send(stamp)

    def cure_work(self):
        subprocess.run(["mount", "-o", "remount,size=200m", self.work.root / "disk"], check=True)
        (self.work.root / "go").touch()
        self.work.answer("queue", "requeue", self.crashing)
        for stamp in (self.crashing, *self.others):
            wait_for(lambda stamp=stamp: self.work.state(stamp) == "done", what=self.work.log)

    # --- the sky -------------------------------------------------------------------------------------------------------
    def begin_sky(self):
        sky = self.array = self.daemon(
            "sky", self.sky, CONTIMG_IMAGE_SIZE="256", CONTIMG_IMAGE_CELL_ARCSEC="6", CONTIMG_IMAGE_MAX_ITERATIONS="200",
            CONTIMG_IMAGE_MIN_UV_LAMBDA="0", CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0")
        sky.answer("catalog", "import", "csv", self.folder / "catalogue.csv", "--name", "nvss")
        sky.start()

    # --- all -----------------------------------------------------------------------------------------------------------
    def test_every_fault_is_told_once_and_resolved_after_its_cure(self):
        self.begin_place()
        self.begin_work()
        self.begin_sky()
        early, bright, lost, whole = STARTS
        peers = Peers(self.place.root, [daemon.port() for daemon in (self.place, self.work, self.array)])
        self.addCleanup(peers.end)
        # What is counted from 0 is known there before it grows.
        wait_for(lambda: peers.scraped() >= 3, what="all are scraped")
        self.trouble_work()
        self.array.send(early)

        peers.wait("FIRING", OF_THE_PLACE)
        self.cure_place()
        peers.wait("FIRING", OF_THE_WORK)
        self.cure_work()

        peers.wait("FIRING", ["ContimgCalibrationMissing"])
        self.array.send(bright)
        self.array.becomes(bright, "done")
        self.array.becomes(early, "done")
        self.array.send(lost)
        self.array.becomes(lost, "done")
        peers.wait("FIRING", ["ContimgAntennasWithoutSky"])
        self.array.send(whole)
        self.array.becomes(whole, "done")

        peers.wait("RESOLVED", OF_THE_PLACE + OF_THE_WORK + OF_THE_SKY, 240)
        self.end_of(self.place)
        peers.wait("FIRING", ["ContimgDown"])
        self.place.start()
        peers.wait("RESOLVED", ["ContimgDown"])

        for alert in (*OF_THE_PLACE, *OF_THE_WORK, *OF_THE_SKY, "ContimgDown"):
            for word in ("FIRING", "RESOLVED"):
                self.assertEqual(len(peers.told(word, alert)), 1, f"{word} {alert}: {peers.slack.messages}")
        self.assertIn("`contimg verify --failed`", peers.told("FIRING", "ContimgIntegrityFailure")[0])


if __name__ == "__main__":
    own_mounts.enter()
    unittest.main()
