#!/usr/bin/python3
"""Tiles through the daemon: what is known in them is on its light curve when they are done, once, whoever is killed; what
nobody knew is a source of our own when two tiles of a transit show it.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/tile_photometry_test.py [-v]
"""
import json
import pathlib
import shutil
import sqlite3
import tempfile
import unittest

from daemon_under_test import DaemonUnderTest, simulate, wait_for

RA, DEC = 210.0, 16.1
# Tiles of 154.6 s, 0.62 deg apart: what stands between the second and the third is in both.
ARRAY = ["--antennas", 24, "--integrations", 12, "--channels", 4]
BETWEEN = RA + 0.97
KNOWN, NEW = (BETWEEN, 16.0, 0.8), (BETWEEN + 0.05, 16.2, 0.6)
CLOSE = 0.003  # deg: a detection is no further from the truth


class TilePhotometryTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-measure-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        sky = [f"--source={ra},{dec},{jy},0" for ra, dec, jy in ((RA, DEC, 20), KNOWN, NEW)]
        cls.stamps = simulate(cls.pool, *ARRAY, "--transit", f"{RA},{DEC}", "--tiles", 3, "--gains", "0.2,180", *sky)
        cls.catalogue = folder / "catalogue.csv"
        cls.catalogue.write_text("name,ra_deg,dec_deg,flux_jy,alpha\n" +
                                 "".join(f"S{jy},{ra},{dec},{jy},0\n" for ra, dec, jy in ((RA, DEC, 20), KNOWN)))

    def setUp(self):
        self.begin("measure", CONTIMG_INGEST_STABLE_S="0.2", CONTIMG_QUEUE_ORDER="oldest", CONTIMG_IMAGE_SIZE="512",
                   CONTIMG_IMAGE_CELL_ARCSEC="6", CONTIMG_IMAGE_MAX_ITERATIONS="500", CONTIMG_IMAGE_MIN_UV_LAMBDA="0",
                   CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0")
        self.addCleanup(self.end)
        self.answer("catalog", "import", "csv", self.catalogue, "--name", "nvss")

    # --- tools -----------------------------------------------------------------------------------------------------
    def ask(self, sql, *values, name="master_sources"):
        database = sqlite3.connect(f"file:{self.root}/state/{name}.sqlite3?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def points(self, place):
        """(group, flux, flags) of the source of our own nearest to a place; by time."""
        return self.ask("SELECT t.group_id, m.flux_jy, m.flags | t.flags FROM measurements m JOIN observations t ON t.id = "
                        "m.observation_id JOIN sources s ON s.id = m.source_id WHERE abs(s.ra_deg - ?) < ? AND "
                        "abs(s.dec_deg - ?) < ? ORDER BY t.mjd", place[0], CLOSE, place[1], CLOSE)

    def recorded(self):
        return {group for (group,) in self.ask("SELECT group_id FROM recorded_photometry")}

    def run_tiles(self, stamps):
        for stamp in stamps:
            self.send(stamp)
        for stamp in stamps:
            self.becomes(stamp, "done")
        wait_for(lambda: self.recorded() >= set(stamps), what=lambda: f"the measurements are on record\n{self.log()}")

    def everything(self):
        """All that is derived from the tables of tiles, to the last bit; by names, ids being given anew."""
        return [self.ask(sql) for sql in (
            "SELECT s.name, t.group_id, m.flux_jy, m.flux_error_jy, m.local_rms_jy, m.response, m.flags FROM measurements m "
            "JOIN observations t ON t.id = m.observation_id JOIN sources s ON s.id = m.source_id ORDER BY 1, 2",
            "SELECT s.name, t.level, t.n, t.mean_jy, t.eta, t.v, t.vs, t.m, t.p, t.sum_w, t.sum_wi, t.sum_wii FROM "
            "light_curve_statistics t JOIN sources s ON s.id = t.source_id ORDER BY 1, 2",
            "SELECT s.name, t.mjd, t.flux_jy, t.flux_error_jy, t.tiles, t.chi2, t.flags FROM transit_points t JOIN sources "
            "s ON s.id = t.source_id ORDER BY 1, 2",
            "SELECT t.group_id, d.number, d.ra_deg, d.dec_deg, d.flux_jy, d.snr, d.flags, s.name FROM detections d JOIN "
            "observations t ON t.id = d.observation_id LEFT JOIN sources s ON s.id = d.source_id ORDER BY 1, 2",
            "SELECT name, origin FROM sources ORDER BY 1",
            "SELECT t.group_id, t.type, t.step_s, t.n_integrations, f.type, f.cadence, f.path, f.bitpix, f.naxis_values_json "
            "FROM fits_frames f JOIN observations t ON t.id = f.observation_id ORDER BY 1, 5, 6",
            "SELECT t.group_id, a.type, a.source_id, a.flags FROM quality_flag_arrays a JOIN observations t ON t.id = "
            "a.observation_id ORDER BY 1",
            "SELECT name, properties_json FROM instruments ORDER BY 1, 2")]

    # --- tests -----------------------------------------------------------------------------------------------------
    def test_from_files_to_light_curves(self):
        daemon = self.start()
        self.run_tiles(self.stamps)
        first, *both = self.stamps
        points = self.points(KNOWN)
        self.assertEqual([group for group, _, _ in points], both)
        for _, flux, flags in points:
            self.assertAlmostEqual(flux, KNOWN[2], delta=0.06 * KNOWN[2])
            self.assertEqual(flags & ~32, 0)  # 32: the place is the catalogue's
        self.assertEqual([group for group, _, _ in self.points((RA, DEC))], [first])
        # What nobody knew was seen twice.
        sources = self.ask("SELECT name, origin, ra_deg, dec_deg FROM sources WHERE origin = 'detection'")
        self.assertEqual([(abs(ra - NEW[0]) < CLOSE, abs(dec - NEW[1]) < CLOSE) for _, _, ra, dec in sources],
                         [(True, True)], self.ask("SELECT * FROM detections"))
        self.assertEqual(self.points(NEW), [])
        self.assertEqual(self.metric("contimg_photometry_new_sources_total"), 1)
        self.assertEqual(self.metric("contimg_photometry_measurements_total"), 3)
        # The tables are products of the image like others, and the figures say what was done.
        for stamp in self.stamps:
            rows = self.ask("SELECT p.kind, p.path, length(p.checksum), parent.kind FROM products p JOIN lineage l ON l.child_id "
                            "= p.id JOIN products parent ON parent.id = l.parent_id WHERE p.group_id = ? AND p.kind IN "
                            "('photometry', 'sources') ORDER BY 1", stamp, name="products")
            self.assertEqual([(kind, size, parent) for kind, _, size, parent in rows],
                             [("photometry", 16, "image"), ("sources", 16, "image")])
            self.answer("inspect", "--validate", *(path for _, path, _, _ in rows))
            figures = self.metrics_of(stamp)["photometry"]
            self.assertEqual(figures["measured"], 1)
            self.assertGreaterEqual(figures["found"], 1)
            self.assertEqual([each["threshold"] for each in figures["false_alarms"]], [4, 4.5, 5.5])
        # By hand, of the files, it is the same; and back in time by the images on record.
        prefix = self.root / f"scratch/images/single/{both[1][:10]}/{both[1]}"
        by_hand, = [row["flux_jy"] for row in self.read("photometry", prefix, "--catalogue", self.catalogue)["measurements"]]
        self.assertAlmostEqual(by_hand, points[1][1], delta=2e-6 * by_hand)
        rows = self.read("photometry", f"--at={KNOWN[0]},{KNOWN[1]}")["measurements"]
        self.assertEqual([row["product"] for row in rows], both)
        for row, (_, flux, _) in zip(rows, points):
            self.assertAlmostEqual(row["flux_jy"], flux, delta=0.01 * flux)
        rows = self.read("photometry", f"--at={KNOWN[0]},{KNOWN[1]}", "--to", both[1])["measurements"]
        self.assertEqual([row["product"] for row in rows], both[:1])
        # Made anew, a tile takes the place of its measurements, and what was found is measured.
        self.answer("queue", "requeue", both[0])
        wait_for(lambda: [group for group, _, _ in self.points(NEW)] == [both[0]], what=lambda: self.log())
        self.assertEqual([group for group, _, _ in self.points(KNOWN)], both)
        self.assertAlmostEqual(self.points(NEW)[0][1], NEW[2], delta=0.06 * NEW[2])
        self.becomes(both[0], "done")
        # Without the database all comes back from the tables, to the last bit; scales and usual beams are reckoned then as
        # the service does once a day.
        daemon.terminate()
        daemon.wait()
        self.answer("lightcurve", "normalise")
        before = self.everything()
        self.assertEqual(len([row for row in before[5] if row[0] == first]), 8)  # one for each image
        self.assertEqual({(row[0], len(row[3])) for row in before[6]}, {(stamp, 4 * before[5][0][3]) for stamp in self.stamps})
        (self.root / "state/master_sources.sqlite3").rename(self.root / "lost")
        for rest in (self.root / "state").glob("master_sources.sqlite3-*"):
            rest.unlink()
        self.answer("catalog", "import", "csv", self.catalogue, "--name", "nvss")
        self.answer("doctor", "--rebuild", "--apply")
        self.assertEqual(self.everything(), before)

    def test_a_daemon_that_dies_before_the_measurements_are_on_record(self):
        daemon = self.start()
        stamp = self.stamps[0]
        holder = sqlite3.connect(self.root / "state/master_sources.sqlite3", isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")  # nobody else writes
        self.send(stamp)
        self.becomes(stamp, "done")
        self.assertEqual((self.recorded(), self.points((RA, DEC))), (set(), []))
        daemon.kill()
        daemon.wait()
        holder.execute("ROLLBACK")
        self.start()
        wait_for(lambda: self.recorded() == {stamp}, what=lambda: self.log())
        self.assertEqual([group for group, _, _ in self.points((RA, DEC))], [stamp])
        self.assertEqual(self.ask("SELECT count(*) FROM detections WHERE source_id IS NOT NULL"), [(1,)])

    def metrics_of(self, stamp):
        return json.loads((self.root / f"scratch/images/qa/{stamp[:10]}/{stamp}.metrics.json").read_text())


if __name__ == "__main__":
    unittest.main()
