#!/usr/bin/python3
"""The loss of disks: docs/operations/disaster.md, section by section, its commands taken from the page.

A calibrated and imaged run is made once; what a section's heading says is removed, its commands are carried out in order,
and what is known and made afterwards is compared with what was. systemctl is played by a stand-in that starts and stops
the real daemon.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/state_loss_test.py [-v]
"""
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from daemon_under_test import BIN, SOURCE, DaemonUnderTest, simulate, wait_for

PAGE = SOURCE / "docs/operations/disaster.md"
SOURCE_3C286 = "202.7845,30.5092"
ARRAY = ["--antennas", "16", "--integrations", "6", "--channels", "4", "--subbands", "4", "--transit", SOURCE_3C286,
         "--source", f"{SOURCE_3C286},15", "--source", "203.2,30.7,1", "--tiles", "2"]


def sections():
    """Heading → commands of its fenced blocks; those before the first heading belong to all."""
    found, heading = {"": []}, ""
    for block in re.split(r"(?m)^## ", PAGE.read_text()):
        heading = "" if not found[""] and not heading and block.startswith("#") else block.split("\n")[0]
        commands = "\n".join(re.findall(r"(?ms)^```sh\n(.*?)^```", block))
        found[heading] = [line for line in commands.split("\n") if line]
    return found


def ancestors(row):
    """The paths of everything it was made from."""
    for parent in row["parents"]:
        yield parent["path"]
        yield from ancestors(parent)


class StateLossTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """The run that all sections begin with."""
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-loss-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        cls.stamps = simulate(cls.pool / "sky", *ARRAY)
        cls.made = DaemonUnderTest()
        cls.made.begin("loss", CONTIMG_INGEST_EXPECTED_SUBBANDS="4", CONTIMG_IMAGE_SIZE="256",
                       CONTIMG_IMAGE_CELL_ARCSEC="12", CONTIMG_IMAGE_MAX_ITERATIONS="50",
                       CONTIMG_IMAGE_MIN_UV_LAMBDA="0", CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0",
                       CONTIMG_INGEST_STABLE_S="0.3", CONTIMG_BACKUP_EVERY_H="0")
        cls.addClassCleanup(cls.made.end)
        run = cls.made
        run.environment["CONTIMG_BACKUP_DIR"] = str(run.root / "backups")
        (run.root / "backups").mkdir()
        process = run.start()
        for stamp in cls.stamps:
            run.send(stamp, pool=cls.pool / "sky")
            run.becomes(stamp, "done")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        run.environment["CONTIMG_BACKUP_REMOTE"] = "lake"
        run.environment["CONTIMG_ARCHIVE_REMOTES"] = (
            f'[{{name = "lake", target = "lake:{run.root}/lake", classes = "incoming,science_ms,caltables,'
            'images,qa"}]')
        (run.root / "rclone.conf").write_text("[lake]\ntype = local\n")
        run.environment["CONTIMG_ARCHIVE_RCLONE_CONFIG"] = str(run.root / "rclone.conf")
        run.environment["CONTIMG_ARCHIVE_AFTER_DAYS"] = "0"
        run.answer("archive", "--apply")
        run.answer("backup")
        cls.kept = pathlib.Path(tempfile.mkdtemp(prefix="contimg-loss-kept-"))
        cls.addClassCleanup(shutil.rmtree, cls.kept)
        for name in ("state", "scratch", "backups", "lake"):
            shutil.copytree(run.root / name, cls.kept / name, symlinks=True)

    def setUp(self):
        run = type(self).made
        self.__dict__.update(run.__dict__)
        for name in ("state", "scratch", "backups", "lake"):
            shutil.rmtree(self.root / name)
            shutil.copytree(self.kept / name, self.root / name, symlinks=True)
        self.before = self.known()
        stubs = self.root / "stubs"
        stubs.mkdir(exist_ok=True)
        (self.root / "contimg.env").write_text("".join(
            f"{name}='{value}'\n" for name, value in self.environment.items() if name.startswith("CONTIMG_")))
        pid = self.root / "daemon.pid"
        pid.unlink(missing_ok=True)
        (stubs / "systemctl").write_text(f"""#!/bin/bash
case $1 in
  stop) [ -e {pid} ] || exit 0; kill $(cat {pid}); while kill -0 $(cat {pid}) 2>/dev/null; do sleep 0.1; done; rm {pid};;
  start) setsid {BIN}/contimg-stream </dev/null >>{self.root}/log 2>&1 & echo $! >{pid}
         for i in $(seq 300); do grep -q : {self.root}/state/contimg-stream.lock 2>/dev/null && exit 0; sleep 0.1; done
         exit 1;;
esac
""")
        (stubs / "systemctl").chmod(0o755)
        self.addCleanup(subprocess.run, [stubs / "systemctl", "stop"], check=False)

    def known(self):
        """What is on record and does not depend on when it was recorded."""
        products = {}
        for row in self.read("products", "list"):
            lineage = self.read("products", "lineage", row["path"])
            products[row["path"]] = (row["kind"], row["group"], row["size_bytes"], row["checksum"], row["grade"],
                                     row["kind"] == "uvh5" or (round(row["ra_deg"], 6), round(row["dec_deg"], 6)),
                                     sorted(set(ancestors(lineage["product"]))))
        tables = {row["path"]: (row["kind"], row["interval"], row["status"], row["valid_from"], row["source_group"])
                  for row in self.read("cal", "list")}
        return {"groups": {stamp: row["state"] for stamp, row in self.groups().items()}, "products": products,
                "tables": tables}

    def carry_out(self, heading):
        """In one shell, as somebody who pastes line by line; the first that fails is a failure of the test."""
        found = sections()
        commands = found[""] + found[heading]
        self.assertGreater(len(commands), 4)
        script = "".join(f"echo '$ {c}'; {c} || exit 9\n".replace("/etc/contimg/", f"{self.root}/") for c in commands)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        environment["PATH"] = f"{self.root}/stubs:{BIN}:{environment['PATH']}"
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False,
                              timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.log())
        return done.stdout

    def assert_same_products(self, found):
        expected = self.before["products"]
        self.assertEqual(sorted(found), sorted(expected))
        for path, row in expected.items():
            self.assertEqual(found[path], row, path)

    def attempts(self):
        with sqlite3.connect(self.root / "state/ingest.sqlite3") as connection:
            return dict(connection.execute("SELECT id, attempts FROM groups"))

    def test_every_section_is_tested(self):
        tested = {heading for name in dir(self) if name.startswith("test_")
                  for heading in re.findall(r"## (.*)", getattr(self, name).__doc__ or "")}
        self.assertEqual(tested, {heading for heading, commands in sections().items() if heading and commands})

    def test_state_with_backups(self):
        """## The state is gone, there are backups"""
        shutil.rmtree(self.root / "state")
        said = self.carry_out("The state is gone, there are backups")
        self.assertRegex(said, r"(?m)^ok    database products")
        self.assertEqual(self.known(), self.before)
        self.assertEqual(set(self.attempts().values()), {1}, "nothing is done twice")
        rows = self.read("products", "list", "--kind", "image.pbcor")
        jobs = self.contimg("products", "show", rows[0]["path"])
        self.assertIn("job", jobs.stdout)

    def test_state_with_a_backup_of_before_the_last_group(self):
        """The records of what was made since come from the tree."""
        run = self.root / "backups"
        shutil.rmtree(run)
        run.mkdir()
        last = self.stamps[-1]
        with sqlite3.connect(self.root / "state/products.sqlite3") as connection:  # as of before
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("DELETE FROM archive_members")
            connection.execute("DELETE FROM archives")
            connection.execute("DELETE FROM products WHERE group_id = ? AND kind <> 'caltable'", (last,))
        with sqlite3.connect(self.root / "state/ingest.sqlite3") as connection:
            connection.execute("DROP TRIGGER events_are_never_removed")
            for table in ("events", "subband_files"):
                connection.execute(f"DELETE FROM {table} WHERE group_id = ?", (last,))
            connection.execute("DELETE FROM groups WHERE id = ?", (last,))
        self.answer("backup")
        shutil.rmtree(self.root / "state")
        self.carry_out("The state is gone, there are backups")
        self.assertEqual(self.known()["groups"], self.before["groups"])
        self.assert_same_products(self.known()["products"])
        self.assertEqual(self.attempts()[last], 0, "it was not made again")

    def test_state_without_backups(self):
        """## The state is gone, and there is no backup"""
        shutil.rmtree(self.root / "state")
        shutil.rmtree(self.root / "backups")
        (self.root / "backups").mkdir()
        self.carry_out("The state is gone, and there is no backup")
        after = self.known()
        self.assertEqual(after["groups"], self.before["groups"])
        self.assertEqual(after["tables"], self.before["tables"])
        self.assert_same_products(after["products"])
        self.assertEqual(set(self.attempts().values()), {0}, "nothing is made again")

    @unittest.skipUnless(shutil.which("rclone"), "needs rclone")
    def test_state_and_scratch(self):
        """## State and scratch are gone"""
        for name in ("state", "scratch", "backups"):
            shutil.rmtree(self.root / name)
        said = self.carry_out("State and scratch are gone")
        self.assertIn("fetched  ", said)
        after = self.known()
        self.assertEqual(after["groups"], self.before["groups"])
        self.assertEqual(after["tables"], self.before["tables"])
        self.assert_same_products(after["products"])
        self.assertEqual({row["status"] for row in self.read("products", "list")}, {"present"})
        for old in (self.kept / "scratch").rglob("*.fits"):
            new = self.root / old.relative_to(self.kept)
            self.assertEqual(new.read_bytes(), old.read_bytes(), str(new))
        # What came back can be worked on, and gives what it gave.
        image = next(row for row in self.read("products", "list", "--kind", "image.pbcor"))
        self.answer("products", "reproduce", image["path"])

    def test_scratch(self):
        """## The scratch disk is gone"""
        shutil.rmtree(self.root / "scratch")
        self.carry_out("The scratch disk is gone")
        wait_for(lambda: {row["status"] for row in self.read("products", "list")} == {"missing"}, 30)
        self.assertEqual(self.known()["groups"], self.before["groups"])
        self.send(self.stamps[0], pool=self.pool / "sky")
        self.answer("queue", "requeue", self.stamps[0])
        self.becomes(self.stamps[0], "done")


if __name__ == "__main__":
    unittest.main()
