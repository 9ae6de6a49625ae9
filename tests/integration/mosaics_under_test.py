"""Tiles made with astropy in a tree of their own, put on record, and a real contimg-stream that makes mosaics of them."""
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import tempfile
import time

from astropy.io import fits

from daemon_under_test import DaemonUnderTest, wait_for
from mosaic_test import make_tile, sky

TILE_S, DEC, DAY_S = 309.2376, 54.0, 86164.0905
STRIP = 54.1  # the apparent declination of tiles there
FIRST = datetime.datetime(2025, 10, 13, 12, 0, 0)
KINDS = ["mosaic", "mosaic.photometry", "mosaic.qa_metrics", "mosaic.qa_picture", "mosaic.residual", "mosaic.sources", "rms", "tiles", "weight"]
EPOCH = datetime.datetime(1858, 11, 17)


def mjd(time):
    return (time - EPOCH).total_seconds() / 86400


def lay(path, folder):
    """A file into a folder, without a copy where that can be."""
    try:
        os.link(path.resolve(), folder / path.name)
    except OSError:
        shutil.copy(path, folder)


class ServiceMosaics(DaemonUnderTest):
    @classmethod
    def make_pool(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-mosaics-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)

    @classmethod
    def make_tile(cls, start, ra, dec, *words):
        stamp = start.isoformat()
        make_tile(cls.pool / stamp, ra, dec, sky(dec), *words,
                  **{"MJD-BEG": mjd(start), "MJD-END": mjd(start) + (TILE_S - 12.9) / 86400})
        return stamp

    def begin_service(self, **settings):
        self.begin("mosaics", **{**dict(
            CONTIMG_MOSAIC_ENABLED="true", CONTIMG_MOSAIC_TILES="3", CONTIMG_MOSAIC_OVERLAP="0",
            CONTIMG_PHOTOMETRY_ENABLED="false", CONTIMG_CONVERT_DURABLE="false", CONTIMG_BACKUP_EVERY_H="0",
            CONTIMG_INTEGRITY_EVERY_H="0"), **settings})
        self.addCleanup(self.end)

    # --- tools -----------------------------------------------------------------------------------------------------
    def put(self, stamps):
        """Their images into the tree, and on record: as if they had been made here."""
        for stamp in stamps:
            folder = self.root / f"scratch/images/single/{stamp[:10]}"
            folder.mkdir(parents=True, exist_ok=True)
            for path in self.pool.glob(f"{stamp}.*"):
                lay(path, folder)
        self.answer("doctor", "--rebuild", "--apply")

    def ask(self, sql, *values, database="products"):
        opened = sqlite3.connect(f"file:{self.root}/state/{database}.sqlite3?mode=ro", uri=True)
        try:
            return opened.execute(sql, values).fetchall()
        finally:
            opened.close()

    def change(self, sql, database="products"):
        opened = sqlite3.connect(self.root / f"state/{database}.sqlite3")
        with opened:
            opened.execute(sql)
        opened.close()

    def mosaics(self, *words):
        return self.read("mosaic", "list", "--limit", 0, *words)

    def tiles(self, name):
        return {tile["group"]: tile for tile in self.read("mosaic", "why", name)["tiles"]}

    def tasks(self):
        return {row["id"]: row["state"] for row in json.loads(self.contimg("queue", "list", "--json").stdout or "[]")
                if row["id"].startswith("mosaic/")}

    def serve(self, n_tasks, seconds=90):
        """The service runs until so many tasks of mosaics are done, and some longer: no other comes."""
        process = self.start()
        wait_for(lambda: list(self.tasks().values()).count("done") == n_tasks, seconds,
                 what=lambda: f"{n_tasks} mosaics are made: {self.tasks()}\n{self.log()}")
        time.sleep(2)
        self.assertEqual(list(self.tasks().values()), ["done"] * n_tasks)
        process.terminate()
        process.wait()

    def versions(self):
        return {row["name"]: row["version"] for row in self.mosaics()}

    def leftovers(self):
        return [p.name for p in (self.root / "scratch/images/mosaics").iterdir() if p.name.startswith(".")]

    def pixels(self, name):
        """What is in its images, without their headers: their dates differ."""
        found = {}
        for path in sorted((self.root / "scratch/images/mosaics").glob(f"{name}.*.fits")):
            with fits.open(path) as file:
                found[path.name] = [hashlib.sha256(hdu.data.tobytes()).hexdigest() for hdu in file if hdu.data is not None]
        return found

    def again_bit_for_bit(self, name):
        product, = self.ask("SELECT id FROM products WHERE kind = 'rms' AND group_id = ?", name)[0]
        again = self.read("products", "reproduce", product)
        self.assertTrue(again["equal"], again)
        self.assertEqual(sorted(p["kind"] for p in again["products"]), [k for k in KINDS if "qa" not in k])
        image, = self.ask("SELECT id FROM products WHERE kind = 'mosaic' AND group_id = ?", name)[0]
        self.assertIn(self.days[0][0][:10], self.answer("products", "lineage", image))
        self.answer("verify", "--share", 1)
