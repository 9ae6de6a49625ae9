#!/usr/bin/python3
"""Antennas that lose the sky when the calibration tables are made already, through the daemon: found, flagged, named in
every place that speaks of them, and the fluxes are right."""
import json
import pathlib
import shutil
import tempfile
import unittest

from daemon_under_test import DaemonUnderTest, simulate, wait_for

# Tiles of 154.6 s.
ARRAY = ["--antennas", 20, "--integrations", 12, "--channels", 1, "--dec", 16.1]
FIRST = "2025-10-13T13:28:03"


class LostSkyTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-lost-sky-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        simulate(folder / "probe", "--antennas", 2, "--integrations", 12, "--channels", 1, "--subbands", 1, "--dec", 16.1,
                 "--start", FIRST, "--tiles", 3)
        sky, lines = [], ["name,ra_deg,dec_deg,flux_jy,alpha"]
        for path, jy in zip(sorted((folder / "probe-truth").glob("truth_*.json")), (20, 10, 12)):
            ra, dec = json.loads(path.read_text())["centre"]
            sky += ["--source", f"{ra},{dec},{jy},0"]
            lines.append(f"source{jy},{ra},{dec},{jy},0")
        cls.catalogue = folder / "catalogue.csv"
        cls.catalogue.write_text("\n".join(lines) + "\n")
        failure = json.loads(sorted((folder / "probe-truth").glob("truth_*.json"))[1].read_text())["t0"]
        cls.stamps = simulate(cls.pool, *ARRAY, "--start", FIRST, "--tiles", 3, "--gains", "0.2,180", "--delays", 5,
                              "--dead", 3, "--dead-from", failure, "--seed", 5, *sky)
        truth = json.loads((folder / f"tiles-truth/truth_{cls.stamps[1]}.json").read_text())
        cls.lost = [str(station) for station in truth["dead_stations"]]

    def setUp(self):
        self.begin("lost-sky", CONTIMG_INGEST_STABLE_S="0.2", CONTIMG_IMAGE_SIZE="256", CONTIMG_IMAGE_CELL_ARCSEC="6",
                   CONTIMG_IMAGE_MAX_ITERATIONS="200", CONTIMG_IMAGE_MIN_UV_LAMBDA="0",
                   CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0")
        self.addCleanup(self.end)
        self.answer("catalog", "import", "csv", self.catalogue, "--name", "nvss")

    # --- tools
    def run_tile(self, stamp):
        self.send(stamp)
        self.becomes(stamp, "done")
        return json.loads((self.root / f"scratch/images/qa/{stamp[:10]}/{stamp}.metrics.json").read_text())

    def finding(self):
        return next((each for each in self.status()["health"] if each["code"] == "antennas_without_sky"), None)

    # --- tests
    def test_antennas_that_fail_after_the_calibration(self):
        self.start()
        metrics = self.run_tile(self.stamps[0])
        self.assertEqual(metrics["antennas_without_sky"], [])
        self.assertAlmostEqual(metrics["quality"]["peak_jy"], 20, delta=0.4)
        self.assertEqual(self.metric("contimg_antennas_without_sky"), 0)
        self.assertIsNone(self.finding())
        tables = {row["table"] for row in self.read("cal", "why", self.stamps[0])["recorded"]}

        stamp = self.stamps[1]
        metrics = self.run_tile(stamp)
        self.assertEqual({row["table"] for row in self.read("cal", "why", stamp)["recorded"]}, tables)  # older ones
        self.assertEqual(sorted(metrics["antennas_without_sky"]), sorted(self.lost))
        self.assertAlmostEqual(metrics["quality"]["peak_jy"], 10, delta=0.2)  # 5.9 with the search off
        # The job's report, the group's events and page, the history of the image.
        group = json.loads(self.get(f"/api/v1/groups/{stamp}")[1])
        sky = next(stage for stage in group["jobs"][0]["report"]["stages"] if stage["name"] == "flag")["figures"]["sky"]
        self.assertEqual(sorted(each["name"] for each in sky["antennas"]), sorted(self.lost))
        line = "antennas without sky: " + ", ".join(each["name"] for each in sky["antennas"])
        self.assertEqual([event["detail"] for event in group["events"] if event["kind"] == "sky"], [line])
        self.assertIn(line, self.get(f"/groups/{stamp}")[1])
        self.assertIn(line, self.answer("queue", "show", stamp))
        image = next((self.root / "scratch/images").rglob(f"{stamp}*.image.fits"))
        self.assertIn(line.encode(), image.read_bytes()[:200000])
        # The metric, the finding, what the operator sees.
        self.assertEqual(self.metric("contimg_antennas_without_sky"), 3)
        wait_for(self.finding, 30, what=lambda: str(self.status()["health"]))
        self.assert_told(stamp)

        # A daemon that starts anew knows it, and the tile after it does not begin the story again.
        self.processes[-1].terminate()
        self.processes[-1].wait()
        self.start()
        wait_for(lambda: self.status()["ready"], 30, what=self.log)
        wait_for(self.finding, 30, what=lambda: str(self.status()["health"]))
        self.assert_told(stamp)
        self.run_tile(self.stamps[2])
        self.assert_told(stamp)

    def assert_told(self, since):
        finding = self.finding()
        self.assertEqual(finding["severity"], "amber")
        self.assertEqual(self.metric('contimg_health{code="antennas_without_sky"}'), 1)
        for name in self.lost:
            self.assertRegex(finding["sentence"], rf"\b{name}\b")
        self.assertIn(f"since {since}", finding["sentence"])
        done = self.contimg("status")
        self.assertIn(finding["sentence"], done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout)  # ready: the tiles are right without them

    def test_with_the_search_off_the_fluxes_are_wrong(self):
        """What the other test would not notice if these tiles were right anyway."""
        self.start(CONTIMG_FLAG_LOST_SKY_FRACTION="0")
        self.run_tile(self.stamps[0])
        metrics = self.run_tile(self.stamps[1])
        self.assertLess(metrics["quality"]["peak_jy"], 8)
        self.assertEqual(metrics["antennas_without_sky"], [])
        self.assertIsNone(self.finding())


if __name__ == "__main__":
    unittest.main(verbosity=2)
