#!/usr/bin/python3
"""A whole sidereal day of tiles at one declination becomes a sequence of mosaics that join: each tile is in two, every place of
the strip is well inside of one, where two overlap they agree, over 24 h of sidereal time as elsewhere, and the last is made in as
little memory as the first. Then a day with holes, and one on which the declination changes.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/mosaic_day_test.py [-v]
"""
import datetime
import json
import pathlib
import shutil
import sqlite3
import tempfile
import time
import unittest
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS
from scipy import ndimage

from daemon_under_test import DaemonUnderTest, wait_for

iers.conf.auto_download = False
iers.conf.iers_degraded_accuracy = "warn"

TILE_S, DAY_S, DEC, LATITUDE = 309.2376, 86164.0905, 16.1, 37.2334
FIRST = datetime.datetime(2025, 10, 13, 12, 0, 0)
A_DAY, MORE = 279, 13  # tiles, and those of the next sidereal day that complete its first window
# As tiles of the array: 4 degrees, primary beam of 3.1 degrees; fewer pixels, a wider beam.
SIZE, CELL, WIDTH, SMEAR, RMS = 160, 90 / 3600, 1.32, 0.97, 0.001
BEAM = (9.5 / 60, 8.0 / 60, 30.0)
MIN_PB = 0.1
Y, X = np.mgrid[0:SIZE, 0:SIZE]


# --- tiles -------------------------------------------------------------------------------------------------------------
def beam(dx, dy):
    """Unit Gaussian of the beam's shape at offsets in pixels, x to the west."""
    east, north = -dx * CELL, dy * CELL
    s, c = np.sin(np.radians(BEAM[2])), np.cos(np.radians(BEAM[2]))
    return np.exp(-4 * np.log(2) * (((east * s + north * c) / BEAM[0]) ** 2 + ((east * c - north * s) / BEAM[1]) ** 2))


SPECTRUM = np.sqrt(np.abs(np.fft.fft2(np.fft.ifftshift(beam(X - SIZE // 2, Y - SIZE // 2)))))
PB = np.exp(-((X - SIZE // 2) ** 2 + (Y - SIZE // 2) ** 2) * CELL**2 / 2 / WIDTH**2)


def unit_vectors(ra, dec):
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def pixels_in_tile(vectors, ra, dec):
    """Where directions lie in a tile (SIN), x and y; those behind it far away."""
    ra, dec = np.radians(ra), np.radians(dec)
    east = [-np.sin(ra), np.cos(ra), 0]
    north = [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)]
    ahead = vectors @ [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    x, y = (np.degrees(vectors @ axis) / CELL for axis in (east, north))
    return np.where(ahead > 0, SIZE // 2 - x, 1e6), np.where(ahead > 0, SIZE // 2 + y, 1e6)


def make_tile(prefix, start, ra, dec, sources, vectors, seed):
    header = fits.Header()
    header.update(CTYPE1="RA---SIN", CRPIX1=SIZE // 2 + 1, CRVAL1=ra % 360, CDELT1=-CELL, CUNIT1="deg",
                  CTYPE2="DEC--SIN", CRPIX2=SIZE // 2 + 1, CRVAL2=dec, CDELT2=CELL, CUNIT2="deg", BUNIT="Jy/beam",
                  BMAJ=BEAM[0], BMIN=BEAM[1], BPA=BEAM[2], RESTFRQ=1.4e9, RADESYS="ICRS")
    header["MJD-BEG"], header["MJD-END"] = mjd(start), mjd(start) + (TILE_S - 12.9) / 86400
    noise = np.fft.ifft2(np.fft.fft2(np.random.default_rng(seed).normal(size=(SIZE, SIZE))) * SPECTRUM).real
    noise *= RMS / noise.std()
    image = noise.copy()
    x, y = pixels_in_tile(vectors, ra, dec)
    reach = 12
    for k in np.nonzero((np.abs(x - SIZE / 2) < SIZE / 2 + reach) & (np.abs(y - SIZE / 2) < SIZE / 2 + reach))[0]:
        i, j = round(x[k]), round(y[k])
        part = np.s_[max(0, j - 2 * reach):max(0, j + 2 * reach + 1), max(0, i - 2 * reach):max(0, i + 2 * reach + 1)]
        seen = sources[k, 2] * SMEAR * np.exp(-((x[k] - SIZE // 2) ** 2 + (y[k] - SIZE // 2) ** 2) * CELL**2 / 2 / WIDTH**2)
        image[part] += seen * beam(X[part] - x[k], Y[part] - y[k])
    for kind, pixels in (("image", image), ("residual", noise), ("pb", PB), ("smear", np.full_like(PB, SMEAR))):
        fits.writeto(f"{prefix}.{kind}.fits", pixels.astype(np.float32), header)


def sky(decs):
    """Sources on a lattice all around the sky, five beams apart, bright ones and faint ones."""
    rng, sources = np.random.default_rng(15), []
    for dec in decs:
        n = int(360 * np.cos(np.radians(dec)) / 0.8)
        for row in range(-3, 4):
            for column in range(n):
                sources.append((360 * (column + 0.5 * (row % 2) + rng.uniform(-0.1, 0.1)) / n,
                                dec + 0.62 * row + rng.uniform(-0.06, 0.06), 10 ** rng.uniform(-1.7, -0.2)))
    return np.array(sources)


# --- the sky overhead, by astropy --------------------------------------------------------------------------------------
def mjd(time):
    return (time - datetime.datetime(1858, 11, 17)).total_seconds() / 86400


def overhead(times, dec):
    """ICRS right ascensions and declinations on the meridian at an apparent declination."""
    place = EarthLocation(lon=-118.2830 * u.deg, lat=LATITUDE * u.deg)
    azimuth, altitude = (180, 90 - (LATITUDE - dec)) if dec < LATITUDE else (0, 90 - (dec - LATITUDE))
    frame = AltAz(az=np.full(len(times), azimuth) * u.deg, alt=np.full(len(times), altitude) * u.deg, location=place,
                  obstime=Time([mjd(time) for time in times], format="mjd"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = SkyCoord(frame).transform_to(ICRS())
    return there.ra.deg, there.dec.deg


class Drift:
    """Tiles one after the other at one apparent declination: name, middle, place."""

    def __init__(self, dec, numbers):
        self.starts = [FIRST + datetime.timedelta(seconds=round(i * TILE_S)) for i in numbers]
        self.names = [start.isoformat() for start in self.starts]
        self.middles = [start + datetime.timedelta(seconds=(TILE_S - 12.9) / 2) for start in self.starts]
        self.ra, self.dec = overhead(self.middles, dec)

    def make(self, folder, sources):
        vectors = unit_vectors(sources[:, 0], sources[:, 1])
        for k, start in enumerate(self.starts):
            make_tile(folder / self.names[k], start, self.ra[k], self.dec[k], sources, vectors, k)


N_WINDOWS = int(DAY_S / (12 * TILE_S * 0.5))  # a day's


def windows_of(drift, numbers):
    """What docs/mosaics.md says of these tiles: window and passage → their names. A window is as long as two steps."""
    step_h, found = 24 / N_WINDOWS, {}
    for k in numbers:
        lst = drift.ra[k] / 15
        for into in (0, 1):
            window = int(lst // step_h) - into
            began = (drift.middles[k] - FIRST).total_seconds() - (lst - window * step_h) / 24 * DAY_S
            window %= N_WINDOWS
            found.setdefault((window, round(began / DAY_S - window / N_WINDOWS)), []).append(drift.names[k])
        # A second decides nothing: FIRST is chosen so.
        assert min(lst % step_h, step_h - lst % step_h) * 3600 > 2, drift.names[k]
    return found


class MosaicDayTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-mosaic-day-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        cls.sources = sky([DEC])
        cls.drift = Drift(DEC, range(A_DAY + MORE))
        cls.drift.make(cls.pool, cls.sources)

    def setUp(self):
        self.begin("mosaic-day", CONTIMG_MOSAIC_ENABLED="true", CONTIMG_PHOTOMETRY_ENABLED="false", CONTIMG_CONVERT_DURABLE="false",
                   CONTIMG_BACKUP_EVERY_H="0", CONTIMG_INTEGRITY_EVERY_H="0")
        self.addCleanup(self.end)
        self.cache = {}

    # --- tools -----------------------------------------------------------------------------------------------------
    def put(self, names, pool=None, over=False):
        """Images of tiles into the tree and on record; `over`: as if they had been recorded when they were observed, else now."""
        for name in names:
            folder = self.root / f"scratch/images/single/{name[:10]}"
            folder.mkdir(parents=True, exist_ok=True)
            for kind in ("image", "residual", "pb", "smear"):
                shutil.copy((pool or self.pool) / f"{name}.{kind}.fits", folder)
        self.answer("doctor", "--rebuild", "--apply")
        if over:
            with self.products() as database:
                database.execute("UPDATE products SET updated_at = (end_mjd - 40587) * 86400 + 20 WHERE path NOT LIKE '%/mosaics/%'")

    def products(self):
        return sqlite3.connect(self.root / "state/products.sqlite3", timeout=20)

    def mosaics(self):
        return sorted(self.read("mosaic", "list", "--limit", 0), key=lambda row: row["start"])

    def tiles(self, name):
        with self.products() as database:
            return [group for (group,) in database.execute(
                "SELECT group_id FROM mosaics JOIN mosaic_tiles USING (mosaic_id) WHERE name = ? AND used ORDER BY mjd", [name])]

    def windows(self, *words):
        return self.read("mosaic", "windows", "--from", self.drift.names[0], "--to", self.drift.names[-1], *words)

    def serve(self, n):
        """The service runs until so many mosaics are made, and some longer: no other comes."""
        process = self.start()
        made = lambda: sum(row["state"] == "closed" for row in self.mosaics())
        wait_for(lambda: made() >= n, 900, 0.5, what=lambda: f"{n} mosaics are made\n{self.log()}")
        time.sleep(1.5)
        self.assertEqual({(row["state"], row["version"]) for row in self.mosaics()}, {("closed", 1)})
        self.assertEqual(made(), n)
        process.terminate()
        process.wait()

    def maps(self, name):
        if name not in self.cache:
            found = {kind: fits.getdata(self.root / f"scratch/images/mosaics/{name}.{kind}.fits").squeeze().astype(float) for kind in ("image", "rms")}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found["wcs"] = WCS(fits.getheader(self.root / f"scratch/images/mosaics/{name}.image.fits")).celestial
            self.cache[name] = found
        return self.cache[name]

    def on_both(self, one, other):
        """Places of one's pixels that the other has, too: the difference of the images, both noises, and which places are of the
        same tiles in both (and of no tile's edge)."""
        a, b = self.maps(one), self.maps(other)
        y, x = np.nonzero(np.isfinite(a["image"]))
        y, x = y[(y % 2 == 0) & (x % 2 == 0)], x[(y % 2 == 0) & (x % 2 == 0)]
        ra, dec = a["wcs"].wcs_pix2world(x, y, 0)
        bx, by = b["wcs"].wcs_world2pix(ra, dec, 0)
        height, width = b["image"].shape
        inside = (bx > 8) & (by > 8) & (bx < width - 9) & (by < height - 9)
        y, x, ra, dec, bx, by = (values[inside] for values in (y, x, ra, dec, bx, by))
        blank = ndimage.binary_dilation(np.isnan(b["image"]), iterations=8)
        known = ~blank[np.round(by).astype(int), np.round(bx).astype(int)]
        y, x, ra, dec, bx, by = (values[known] for values in (y, x, ra, dec, bx, by))
        read = ndimage.map_coordinates(np.nan_to_num(b["image"]), [by, bx], order=5) if len(bx) else bx
        rms = ndimage.map_coordinates(np.nan_to_num(b["rms"]), [by, bx], order=1) if len(bx) else bx
        vectors, same, in_both = unit_vectors(ra, dec), np.ones(len(ra), bool), set(self.tiles(one)) & set(self.tiles(other))
        for name in set(self.tiles(one)) | set(self.tiles(other)):
            k = self.drift.names.index(name)
            tx, ty = pixels_in_tile(vectors, self.drift.ra[k], self.drift.dec[k])
            off, out = np.hypot(tx - SIZE // 2, ty - SIZE // 2) * CELL, np.maximum(np.abs(tx - SIZE / 2), np.abs(ty - SIZE / 2)) - SIZE / 2
            to_edge = np.maximum(out, (off - WIDTH * np.sqrt(-2 * np.log(MIN_PB))) / CELL)  # pixels, negative inside
            same &= (to_edge > 6) if name not in in_both else (np.abs(to_edge) > 6)
        return read - a["image"][y, x], a["rms"][y, x], rms, same

    # --- tests -----------------------------------------------------------------------------------------------------
    def test_a_day_is_a_sequence_of_mosaics_that_join(self):
        names = self.drift.names
        planned = windows_of(self.drift, range(len(names)))
        self.assertGreaterEqual(min(map(len, planned.values())), 2)
        # What is over is made while the day goes on, what is not waits.
        over = [tiles for key, tiles in windows_of(self.drift, range(140)).items() if planned[key] == tiles and tiles[-1] != names[139]]
        self.put(names[:140])
        self.serve(len(over))
        self.assertEqual([window["state"] for window in self.windows()], ["made"] * len(over) + ["waiting"] * 2)
        self.put(names[140:], over=True)
        self.serve(len(planned))
        self.assertEqual({window["state"] for window in self.windows()}, {"made"})
        rows = self.mosaics()
        of = {row["name"]: self.tiles(row["name"]) for row in rows}
        self.assertEqual(sorted(of.values()), sorted(planned.values()))
        self.assertEqual({row["tiles_refused"] for row in rows}, {0})
        self.assertLessEqual({row["grade"] for row in rows}, {"A", "B"})
        self.assertEqual(len({row["strip_deg"] for row in rows}), 1, "one strip, though its phase centres wander")
        self.assertEqual({sum(name in tiles for tiles in of.values()) for name in names}, {2}, "each tile is in two")
        # Windows are those of the whole circle, a step apart, the next day's the same.
        step_h = 24 / N_WINDOWS
        starts = [row["lst_start_h"] / step_h for row in rows]
        self.assertTrue(np.allclose(starts, np.round(starts), atol=1e-6), starts)
        self.assertEqual([round(b - a) % N_WINDOWS for a, b in zip(starts, starts[1:])], [1] * (len(rows) - 1))
        self.assertEqual({round(start) for start in starts}, set(range(N_WINDOWS)))
        self.assertGreaterEqual(len(rows), N_WINDOWS + 2)
        self.join(rows)
        self.cover(rows)
        self.sources_agree(rows)
        self.memory_is_bounded(rows)

    def test_holes_a_lone_tile_another_declination_and_a_pause(self):
        # An hour is missing, a tile stands alone, then the array points elsewhere; five days later it is back.
        kept = [*range(0, 25), *range(37, 50), 75, *range(100, 112)]
        other, later = Drift(DEC + 3, range(112, 125)), Drift(DEC, range(5 * A_DAY + 163, 5 * A_DAY + 177))
        drifts = [(self.drift, kept), (other, range(13)), (later, range(14))]
        with tempfile.TemporaryDirectory(prefix="contimg-mosaic-day-pool-") as pool:
            pool = pathlib.Path(pool)
            other.make(pool, sky([DEC + 3]))
            later.make(pool, self.sources)
            planned = [[tiles for tiles in windows_of(drift, numbers).values() if len(tiles) >= 2] for drift, numbers in drifts]
            self.put([self.drift.names[k] for k in kept])
            self.put(other.names, pool, over=True)
            self.serve(len(planned[0]) + len(planned[1]))
            self.assertEqual(sorted(self.tiles(row["name"]) for row in self.mosaics()), sorted(planned[0] + planned[1]))
            strips = {row["strip_deg"] for row in self.mosaics()}
            self.assertEqual(strips, {16.1, 19.1}, "apparent ones")
            windows = self.windows()
            lone = self.drift.middles[75].isoformat()
            self.assertEqual([(w["state"], w["tiles_on_disk"]) for w in windows if w["start"] <= lone < w["end"]], [("alone", 1)] * 2)
            self.assertEqual(sum(w["state"] == "made" for w in windows), len(self.mosaics()))
            self.assertNotEqual(round(float(later.dec[0]), 1), 16.1, "its ICRS declination is another")
            self.put(later.names, pool, over=True)
            self.serve(sum(map(len, planned)))
            self.assertEqual({row["strip_deg"] for row in self.mosaics()}, strips)
            self.assertEqual(sorted(self.tiles(row["name"]) for row in self.mosaics()), sorted(sum(planned, [])))

    def join(self, rows):
        """Consecutive ones, over 24 h among them: alike where they have the same tiles, elsewhere as different as their tiles make them."""
        alike, unlike, closing = [], [], 0
        for one, other in zip(rows, rows[1:]):
            difference, ours, theirs, same = self.on_both(one["name"], other["name"])
            closing += one["lst_start_h"] > other["lst_start_h"]
            if min(one["tiles_used"], other["tiles_used"]) >= 12:
                self.assertGreater(same.sum(), 3000, one["name"])
                alike.append(np.percentile(np.abs(difference / ours)[same], 95))
                self.assertLess(np.percentile(np.abs(theirs / ours - 1)[same], 95), 0.01, one["name"])
            # A place here is of tiles that both have and of such as one has alone, never the other, too: the noises tell how much.
            expected = np.sqrt(np.abs(ours**2 - theirs**2))
            differ = ~same & (expected > 0.3 * np.minimum(ours, theirs))
            unlike.extend((difference / expected)[differ])
        self.assertGreaterEqual(closing, 1, "a pair over 24 h")
        self.assertLess(max(alike), 0.05, "parts of the noise, 95 in 100 pixels of the worst pair")
        unlike = np.array(unlike)
        scatter = 1.4826 * np.median(np.abs(unlike - np.median(unlike)))
        print(f"{len(alike)} joints: at most {max(alike):.4f} of the noise (95 % of pixels), median {np.median(alike):.4f}; "
              f"of other tiles {scatter:.3f} of what their noises say")
        self.assertAlmostEqual(scatter, 1, delta=0.1)
        # A sidereal day later the same sky, of other tiles.
        difference, ours, theirs, _ = self.on_both(rows[1]["name"], rows[-1]["name"])
        pulls = difference / np.hypot(ours, theirs)
        self.assertGreater(len(pulls), 1000)
        self.assertAlmostEqual(1.4826 * np.median(np.abs(pulls)), 1, delta=0.15)

    def cover(self, rows):
        """Every place in the middle of the strip is as deep as the others in one of them."""
        ra = np.arange(0, 360, 0.25)
        order = np.argsort(self.drift.ra[:A_DAY])
        dec = np.interp(ra, self.drift.ra[:A_DAY][order], self.drift.dec[:A_DAY][order], period=360)
        best = np.full(len(ra), np.inf)
        for row in rows:
            maps = self.maps(row["name"])
            x, y = np.nan_to_num(maps["wcs"].wcs_world2pix(ra, dec, 0), nan=-1e6)
            height, width = maps["rms"].shape
            at = np.nonzero((x > 0) & (y > 0) & (x < width - 1) & (y < height - 1))[0]
            noise = maps["rms"][np.round(y[at]).astype(int), np.round(x[at]).astype(int)]
            best[at] = np.fmin(best[at], noise)
        self.assertTrue(np.isfinite(best).all(), ra[~np.isfinite(best)])
        self.assertLess(best.max() / np.median(best), 1.2, ra[np.argmax(best)])

    def sources_agree(self, rows):
        """What is found in two of them has one flux, and that of the sky."""
        vectors = unit_vectors(self.sources[:, 0], self.sources[:, 1])
        fluxes = {}
        for row in rows:
            table = Table.read(self.root / f"scratch/images/mosaics/{row['name']}.sources.fits")
            near = unit_vectors(np.array(table["ra_deg"]), np.array(table["dec_deg"])) @ vectors.T
            for k, source in enumerate(np.argmax(near, axis=1)):
                if np.degrees(np.arccos(min(1, near[k, source]))) < BEAM[1] / 2 and table["flux_error_jy"][k] < 1.5 * RMS:
                    fluxes.setdefault(source, []).append((table["flux_jy"][k], table["flux_error_jy"][k]))
        pairs = [values for values in fluxes.values() if len(values) >= 2]
        self.assertGreater(len(pairs), 1000)
        pulls = [(values[1][0] - values[0][0]) / values[0][1] for values in pairs]
        ratio = [values[0][0] / self.sources[source, 2] for source, values in fluxes.items() if values[0][0] > 40 * values[0][1]]
        print(f"{len(pairs)} sources in two mosaics: they differ by {np.median(np.abs(pulls)):.3f} of their error (median); "
              f"{len(ratio)} bright ones, flux over truth {np.median(ratio):.4f}")
        self.assertLess(np.median(np.abs(pulls)), 0.5)
        self.assertLess(np.percentile(np.abs(pulls), 95), 2)
        self.assertAlmostEqual(np.median(ratio), 1, delta=0.005)

    def memory_is_bounded(self, rows):
        with self.products() as database:
            peaks = dict(database.execute("SELECT group_id, peak_memory_bytes FROM jobs WHERE kind = 'mosaic'"))
        whole = [peaks[row["name"]] for row in rows if row["tiles_used"] >= 12]
        self.assertGreater(min(whole), 1e7)
        print(f"memory of a mosaic: {min(whole) / 1e6:.1f} to {max(whole) / 1e6:.1f} MB")
        self.assertLess(max(whole), 1.1 * min(whole))


if __name__ == "__main__":
    unittest.main()
