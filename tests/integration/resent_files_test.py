#!/usr/bin/python3
"""Input files that change under the daemon: sent again under their own name, removed, contradicted by another.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/resent_files_test.py [-v]
"""
import os
import pathlib
import shutil
import tempfile
import time
import unittest

import h5py

from daemon_under_test import DaemonUnderTest, simulate, wait_for


class ResentFilesTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        cls.stamps = simulate(cls.pool, "--tiles", 2, "--antennas", 4, "--integrations", 2, "--channels", 4,
                              "--subbands", 4)

    def setUp(self):
        self.begin("resent", CONTIMG_INGEST_EXPECTED_SUBBANDS="4", CONTIMG_INGEST_MIN_SUBBANDS="3",
                   CONTIMG_INGEST_DEADLINE_S="60", CONTIMG_IMAGE_ENABLED="false", CONTIMG_FLAG_ENABLED="false",
                   CONTIMG_CALIBRATE_POLICY="uncalibrated", CONTIMG_INGEST_RESCAN_S="2")
        self.addCleanup(self.end)

    def send_scaled(self, stamp, subband, factor, name=None):
        """The subband with its visibilities multiplied, under its own or another name, in one rename."""
        source = self.pool / f"{stamp}_sb{subband:02}.hdf5"
        part = self.root / "part"
        shutil.copy(source, part)
        with h5py.File(part, "r+") as file:
            file["Data/visdata"][...] = file["Data/visdata"][...] * factor
        os.rename(part, self.incoming / (name or source.name))

    def files(self, stamp):
        return {(f["subband"], pathlib.Path(f["path"]).name): f["status"] for f in self.shown(stamp)["files"]}

    def shown(self, stamp):
        return self.read("queue", "show", stamp)[0]

    def windows(self, stamp):
        from casacore.tables import table
        with table(str(self.root / f"scratch/ms/science/{stamp[:10]}/{stamp}.ms"), ack=False) as ms:
            return ms.nrows(), abs(ms.getcol("DATA")).max()

    def test_a_file_sent_again_after_its_group_is_done_marks_it_and_a_requeue_takes_it(self):
        self.start()
        stamp = self.stamps[0]
        self.send(stamp)
        self.becomes(stamp, "done")
        rows, peak = self.windows(stamp)
        self.send_scaled(stamp, 1, 100)
        wait_for(lambda: "sent again" in (self.shown(stamp)["error"] or ""), 30)
        self.assertEqual(set(self.files(stamp).values()), {"present"})
        self.assertEqual(self.shown(stamp)["subbands_present"], 4)
        self.assertEqual([g["id"] for g in self.read("queue", "list", "--late")], [stamp])
        self.assertEqual(self.contimg("queue", "requeue", "--late").returncode, 0)
        self.becomes(stamp, "done")
        self.assertIsNone(self.shown(stamp)["error"])
        rows_again, peak_again = self.windows(stamp)
        self.assertEqual(rows_again, rows)
        self.assertGreater(peak_again, 20 * peak)

    def test_a_file_sent_again_while_its_group_collects_counts_in_its_new_version(self):
        self.start()
        stamp = self.stamps[0]
        self.send(stamp, range(3))
        wait_for(lambda: self.groups() and self.shown(stamp)["subbands_present"] == 3, 30)
        self.send_scaled(stamp, 1, 100)
        wait_for(lambda: any(e["kind"] == "replaced" for e in self.shown(stamp)["events"]), 30)
        self.assertEqual(self.state(stamp), "collecting")
        self.send(stamp, [3])
        self.becomes(stamp, "done")
        self.assertGreater(self.windows(stamp)[1], 20)
        self.assertEqual(set(self.files(stamp).values()), {"present"})

    def test_of_two_files_in_conflict_the_one_that_was_kept_is_used(self):
        self.start()
        stamp = self.stamps[0]
        self.send(stamp, range(3))
        wait_for(lambda: self.groups() and self.shown(stamp)["subbands_present"] == 3, 30)
        other = f"{stamp[:-2]}{int(stamp[-2:]) + 1:02}_sb02.hdf5"
        self.send_scaled(stamp, 2, 100, other)
        self.becomes(stamp, "held", 30)
        refused = self.contimg("queue", "release", stamp)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("both are there", refused.stderr)
        (self.incoming / f"{stamp}_sb02.hdf5").unlink()
        self.send(stamp, [3])
        self.answer("queue", "release", stamp)
        self.becomes(stamp, "done")
        self.assertGreater(self.windows(stamp)[1], 20)
        self.assertEqual(self.files(stamp)[(2, other)], "present")

    def test_an_input_that_was_taken_away_is_not_asked_for_again_and_again(self):
        self.environment["CONTIMG_INGEST_MIN_SUBBANDS"] = "4"
        self.start()
        stamp = self.stamps[0]
        self.send(stamp, range(3))
        wait_for(lambda: self.groups() and self.shown(stamp)["subbands_present"] == 3, 30)
        self.answer("queue", "hold", stamp)
        self.send(stamp, [3])
        wait_for(lambda: self.shown(stamp)["subbands_present"] == 4, 30)
        (self.incoming / f"{stamp}_sb01.hdf5").unlink()
        self.answer("queue", "release", stamp)
        wait_for(lambda: self.files(stamp)[(1, f"{stamp}_sb01.hdf5")] == "removed", 30)
        self.assertIn(self.state(stamp), ("collecting", "dead"))
        self.send(stamp, [1])  # it comes back
        self.becomes(stamp, "done")

    def test_a_given_up_group_that_is_held_and_released_has_a_deadline_again(self):
        self.start(CONTIMG_INGEST_DEADLINE_S="2")
        stamp = self.stamps[0]
        self.send(stamp, range(2))
        self.becomes(stamp, "dead", 30)
        refused = self.contimg("queue", "requeue", stamp)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("at least 3 are needed", refused.stderr)
        self.answer("queue", "hold", stamp)
        self.answer("queue", "release", stamp)
        self.assertEqual(self.state(stamp), "collecting")
        self.becomes(stamp, "dead", 30)
        self.answer("queue", "hold", stamp)
        self.answer("queue", "release", stamp)
        self.send(stamp, [2])
        self.becomes(stamp, "done", 60)

    def test_a_file_of_other_times_under_an_old_name_leaves_its_former_group(self):
        self.start(CONTIMG_INGEST_DEADLINE_S="10")
        first, second = self.stamps
        self.send(first)
        self.becomes(first, "done")
        part = self.root / "part"
        shutil.copy(self.pool / f"{second}_sb02.hdf5", part)
        os.rename(part, self.incoming / f"{first}_sb02.hdf5")
        self.send(second, [0, 1, 3])
        wait_for(lambda: sum(g["state"] == "done" for g in self.groups().values()) == 2, 60)
        self.assertEqual(self.files(first)[(2, f"{first}_sb02.hdf5")], "removed")
        self.assertIn("holds other times now", self.shown(first)["error"])


if __name__ == "__main__":
    unittest.main()
