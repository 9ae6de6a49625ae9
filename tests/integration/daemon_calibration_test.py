#!/usr/bin/python3
"""The real daemon on small tiles with real solves: groups that come before their calibration, hourly gains, a sky that
is not there, tables by hand."""
import json
import pathlib
import shutil
import tempfile
import unittest

from daemon_under_test import DaemonUnderTest, simulate, wait_for

DEC = 16.1
ARRAY = ["--antennas", "16", "--integrations", "6", "--channels", "8", "--dec", str(DEC), "--gains", "0.2,180",
         "--delays", "3", "--bandpass", "0.05", "--seed", "7"]
TILE_S = 6 * 12.885


class CalibrationTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-cal-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        # Two sources an hour of right ascension apart; each is in the beam of the tiles about its transit only.
        cls.sources = [cls.centre("2025-10-13T13:20:00"), cls.centre("2025-10-13T14:18:30")]
        sky = [word for ra, dec in cls.sources for word in ("--source", f"{ra},{dec},40,-0.7")]
        cls.early = simulate(cls.pool / "early", *ARRAY, "--start", "2025-10-13T13:00:00", "--tiles", "2", *sky)
        cls.bright = simulate(cls.pool / "bright", *ARRAY, "--start", "2025-10-13T13:20:00", "--tiles", "1", *sky)
        cls.later = simulate(cls.pool / "later", *ARRAY, "--start", "2025-10-13T14:18:30", "--tiles", "1", *sky)
        cls.empty = simulate(cls.pool / "empty", *ARRAY, "--start", "2025-10-13T13:20:00", "--tiles", "1", "--source",
                             f"{cls.sources[0][0]},{cls.sources[0][1]},0.001,0")
        cls.catalogue = cls.pool / "catalogue.csv"
        cls.catalogue.write_text("name,ra_deg,dec_deg,flux_jy,alpha\n" + "".join(
            f"source{i},{ra},{dec},40,-0.7\n" for i, (ra, dec) in enumerate(cls.sources)))

    @classmethod
    def centre(cls, start):
        """ICRS direction of the middle of a tile that begins then."""
        probe = cls.pool / "probe"
        simulate(probe, "--start", start, "--antennas", 2, "--integrations", 6, "--channels", 1, "--subbands", 1, "--dec",
                 DEC, "--calibrator", 1)
        return json.loads((cls.pool / f"probe-truth/truth_{start}.json").read_text())["sources"][0][:2]

    def setUp(self):
        self.begin("calibration", CONTIMG_INGEST_STABLE_S="0.3", CONTIMG_FLAG_ENABLED="false", CONTIMG_IMAGE_SIZE="256",
                   CONTIMG_IMAGE_CELL_ARCSEC="6", CONTIMG_IMAGE_MAX_ITERATIONS="50", CONTIMG_IMAGE_MIN_UV_LAMBDA="0",
                   CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0")
        self.addCleanup(self.end)

    # --- tools
    def tables(self, **which):
        words = [word for key, value in which.items() for word in (f"--{key}", value)]
        return self.read("cal", "list", *words)

    # --- tests
    def test_groups_that_come_before_their_calibration(self):
        self.answer("catalog", "import", "csv", self.catalogue, "--name", "nvss")
        self.start()
        for stamp in self.early:
            self.send(stamp, pool=self.pool / "early")
        for stamp in self.early:
            self.becomes(stamp, "awaiting_calibration")
            why = self.read("cal", "why", stamp)
            self.assertEqual(why["decision"]["action"], "wait")
            self.assertIn("the catalogue holds no source about it", why["decision"]["reason"])
        self.assertEqual(self.tables(), [])
        wait_for(lambda: self.metric("contimg_calibration_missing") == 1, 120, what="the alert is raised")
        # The status is drawn up once a second: the groups may have come to wait since.
        wait_for(lambda: any("for calibration" in trouble for trouble in self.status()["troubles"]), 30,
                 what=lambda: str(self.status()["troubles"]))

        # The tile with the source in it is solved at once and does not wait; its tables serve those before it.
        self.send(self.bright[0], pool=self.pool / "bright")
        self.becomes(self.bright[0], "done")
        for stamp in self.early:
            self.becomes(stamp, "done")
        tables = {table["kind"]: table for table in self.tables()}
        self.assertEqual(sorted(tables), ["BP", "G", "K"])
        for table in tables.values():
            self.assertEqual(table["status"], "active", table)
            self.assertEqual(table["interval"], "24h")
            self.assertEqual(table["source_group"], self.bright[0])
            self.assertTrue(pathlib.Path(table["path"]).is_dir())
        self.assertEqual(tables["G"]["rests_on"], [tables["K"]["id"], tables["BP"]["id"]])
        # The set is known beside its tables, too.
        day = self.bright[0][:10]
        self.assertTrue((self.root / f"scratch/ms/calibrators/{day}/{self.bright[0]}_24h.ms").samefile(
            self.root / f"scratch/ms/science/{day}/{self.bright[0]}.ms"))
        solved = self.read("cal", "why", self.bright[0])
        self.assertEqual([solve["outcome"] for solve in solved["solves"]], ["passed"])
        self.assertEqual({row["kind"]: row["table"] for row in solved["recorded"]},
                         {kind: table["id"] for kind, table in tables.items()})
        # What was promised is what came: within a factor of the noise that the solver found.
        predicted = solved["solves"][0]["predicted_snr"]
        measured = tables["BP"]["quality"]["median_snr"]
        self.assertLess(abs(measured / predicted - 1), 0.35, f"predicted {predicted}, measured {measured}")
        for stamp in self.early:
            why = self.read("cal", "why", stamp)
            self.assertEqual(why["decision"]["action"], "apply")
            self.assertEqual({row["kind"]: row["table"] for row in why["recorded"]},
                             {kind: table["id"] for kind, table in tables.items()})
            trail = self.answer("queue", "show", stamp)
            self.assertIn("awaiting_calibration", trail)
        wait_for(lambda: self.metric("contimg_calibration_missing") == 0, 90, what="the alert ends")
        self.assertGreater(self.metric('contimg_calibration_seconds_until_expiry{kind="BP"}'), 23 * 3600)
        self.assertEqual(self.metric('contimg_calibration_solves_total{interval="24h",outcome="passed"}'), 1)
        # The source has its flux in the image of the tile that was solved.
        day = self.bright[0][:10]
        metrics = json.loads((self.root / f"scratch/images/qa/{day}/{self.bright[0]}.metrics.json").read_text())
        self.assertAlmostEqual(metrics["quality"]["peak_jy"], 40, delta=2)
        # What was made is counted, with figures of the same names as the worker's.
        made = 1 + len(self.early)
        self.assertEqual(sum(self.metric(f'contimg_images_total{{grade="{grade}"}}') for grade in "ABCF"), made)
        self.assertGreaterEqual(self.metric(f'contimg_images_total{{grade="{metrics["quality"]["grade"]}"}}'), 1)
        self.assertEqual(self.metric("contimg_image_rms_jy_count"), made)
        self.assertGreaterEqual(self.metric("contimg_image_rms_jy_sum"), metrics["quality"]["rms_jy"])
        self.assertEqual(self.metric("contimg_flagged_ratio_count"), made)
        matched = self.metric("contimg_image_flux_ratio_count")
        self.assertGreaterEqual(matched, 1)
        self.assertAlmostEqual(self.metric("contimg_image_flux_ratio_sum") / matched, 1, delta=0.1)
        self.assertEqual(self.metric("contimg_image_offset_arcseconds_count"), matched)

        # An hour later only gains are due; they rest on the day's bandpass and keep its flux scale.
        self.send(self.later[0], pool=self.pool / "later")
        self.becomes(self.later[0], "done")
        gains = self.tables(kind="G", status="active")
        hourly = next((t for t in gains if t["source_group"] == self.later[0]), None)
        self.assertIsNotNone(hourly, (gains, self.read("cal", "why", self.later[0])))
        self.assertEqual(hourly["interval"], "1h", hourly)
        self.assertEqual(hourly["rests_on"], [tables["K"]["id"], tables["BP"]["id"]])
        self.assertEqual(hourly["refant"], tables["BP"]["refant"])
        self.assertAlmostEqual(hourly["quality"]["scale_change"], 1, delta=0.05)

    def test_a_damaged_table_is_named_and_kills_no_group(self):
        self.answer("catalog", "import", "csv", self.catalogue, "--name", "nvss")
        self.start()
        self.send(self.bright[0], pool=self.pool / "bright")
        self.becomes(self.bright[0], "done")
        (bandpass,) = self.tables(kind="BP")
        file = pathlib.Path(bandpass["path"]) / "table.f0"
        content = file.read_bytes()
        file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])

        stamp = self.early[0]  # nothing in its beam to solve on: it can but wait
        self.send(stamp, pool=self.pool / "early")
        self.becomes(stamp, "awaiting_calibration")
        self.assertIn("its files have changed since it was registered", self.answer("cal", "why", stamp))
        self.assertIn("damaged", self.answer("cal", "list"))
        damaged = wait_for(lambda: [f for f in self.status()["health"] if f["code"] == "calibration_damaged"], 120,
                           what="the damaged table is a finding")
        self.assertIn(bandpass["path"], damaged[0]["sentence"])
        self.assertEqual(self.metric("contimg_calibration_tables_damaged"), 1)

        file.write_bytes(content)
        self.becomes(stamp, "done")

    def test_a_sky_that_is_not_there(self):
        self.answer("catalog", "import", "csv", self.catalogue, "--name", "nvss")
        self.start()
        stamp = self.empty[0]
        self.send(stamp, pool=self.pool / "empty")
        self.becomes(stamp, "awaiting_calibration")
        why = self.read("cal", "why", stamp)
        self.assertEqual(why["solves"][0]["outcome"], "failed", why)
        self.assertEqual(self.tables(kind="G", status="active"), [])
        wait_for(lambda: any("calibration failed" in trouble for trouble in self.status()["troubles"]), 120,
                 what="the failure is shown")

    def test_policies(self):
        # Without a catalogue nothing can be solved: the image is one of uncalibrated data, and that is recorded.
        self.start(CONTIMG_CALIBRATE_POLICY="uncalibrated")
        stamp = self.early[0]
        self.send(stamp, pool=self.pool / "early")
        self.becomes(stamp, "done")
        why = self.read("cal", "why", stamp)
        self.assertEqual(why["decision"]["action"], "uncalibrated")
        self.assertIn("no source catalogue is imported", why["decision"]["reason"])
        self.assertEqual({row["table"] for row in why["recorded"]}, {None})


if __name__ == "__main__":
    unittest.main(verbosity=2)
