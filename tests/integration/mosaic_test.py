#!/usr/bin/python3
"""`contimg mosaic` from outside: tiles made with astropy, maps read by astropy, fluxes and places compared with what was put in, tiles
that do not fit, and how it ends.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/mosaic_test.py [-v]
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import warnings
import unittest

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from scipy import signal

CONTIMG = pathlib.Path(os.environ["CONTIMG_BIN_DIR"]) / "contimg"
SIZE, CELL = 400, 6.0 / 3600
MAJOR, MINOR, ANGLE = 80 / 3600, 50 / 3600, 30.0
RMS, WIDTH = 0.001, 110.0  # noise of a tile; of its primary beam, pixels
KINDS = ("image", "residual", "rms", "weight")
Y, X = np.mgrid[0:SIZE, 0:SIZE]


BEAM = (MAJOR, MINOR, ANGLE)


def beam(dx, dy, shape=BEAM):
    """Unit Gaussian of the beam's shape at offsets in pixels, x to the west."""
    east, north = -dx * CELL, dy * CELL
    s, c = np.sin(np.radians(shape[2])), np.cos(np.radians(shape[2]))
    return np.exp(-4 * np.log(2) * (((east * s + north * c) / shape[0]) ** 2 + ((east * c - north * s) / shape[1]) ** 2))


def noise(rng):
    """Noise that is correlated as the beam, made in the Fourier plane."""
    power = np.abs(np.fft.fft2(np.fft.ifftshift(beam(X - SIZE // 2, Y - SIZE // 2))))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIZE, SIZE))) * np.sqrt(power)).real
    return field * RMS / field.std()


def response(x, y, width=WIDTH):
    return np.exp(-((x - SIZE / 2) ** 2 + (y - SIZE / 2) ** 2) / 2 / width**2)


def make_tile(prefix, ra, dec, sources, seed, scale=1.0, shape=BEAM, quiet=1.0, left=0.0, louder=0.0, width=WIDTH, **cards):
    """A tile of the sky `sources` (ra, dec, flux): image restored with a beam, residual, pb, smear. `quiet`: part of the usual noise;
    `left`: apparent flux below which CLEAN left sources; `louder`: noise of the image of which its residual does not tell."""
    header = fits.Header()
    header.update(CTYPE1="RA---SIN", CRPIX1=SIZE // 2 + 1, CRVAL1=ra % 360, CDELT1=-CELL, CUNIT1="deg",
                  CTYPE2="DEC--SIN", CRPIX2=SIZE // 2 + 1, CRVAL2=dec, CDELT2=CELL, CUNIT2="deg", BUNIT="Jy/beam",
                  BMAJ=shape[0], BMIN=shape[1], BPA=shape[2], RESTFRQ=1.4e9, RADESYS="ICRS")
    header["MJD-BEG"], header["MJD-END"] = 60961.5 + seed * 0.0036, 60961.5 + (seed + 1) * 0.0036
    residual = quiet * noise(np.random.default_rng(seed))
    image = residual + louder * noise(np.random.default_rng(1000 + seed))
    x, y = WCS(header).wcs_world2pix(sources[:, 0], sources[:, 1], 0)
    for sx, sy, flux in zip(x, y, sources[:, 2]):
        if np.isfinite(sx) and abs(sx - 200) < 260 and abs(sy - 200) < 260:
            apparent = flux * response(sx, sy, width) * 0.97
            cleaned = apparent >= left
            image += apparent * beam(X - sx, Y - sy, shape if cleaned else BEAM)
            if not cleaned:
                residual += apparent * beam(X - sx, Y - sy)
    header.update(cards)
    for kind, pixels in (("image", image * scale), ("residual", residual * scale), ("pb", response(X, Y, width)),
                         ("smear", np.full((SIZE, SIZE), 0.97))):
        fits.writeto(f"{prefix}.{kind}.fits", pixels.astype(np.float32), header, overwrite=True)


def sky(dec, seed=1):
    """Sources on a lattice about RA 0 h, far enough apart."""
    rng = np.random.default_rng(seed)
    places = [(i * 0.11 / np.cos(np.radians(dec)), dec + j * 0.11) for i in range(-5, 6) for j in range(-2, 3)]
    return np.array([[ra + rng.uniform(-0.02, 0.02) / np.cos(np.radians(dec)), d + rng.uniform(-0.02, 0.02), f]
                     for (ra, d), f in zip(places, 10 ** rng.uniform(-1.2, -0.3, len(places)))])


def unwarned(function, *words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*words)


class MosaicTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-mosaic-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.sources = sky(54.0)
        cls.tiles = [cls.root / f"t{i}" for i in range(4)]
        for i, tile in enumerate(cls.tiles):
            make_tile(tile, 0.3 * (i - 1.5), 54.0, cls.sources, i)
        with open(cls.root / "list.csv", "w") as file:
            file.write("name,ra_deg,dec_deg,flux_jy\n")
            for i, (ra, dec, flux) in enumerate(cls.sources):
                file.write(f"s{i},{ra % 360:.8f},{dec:.8f},{flux}\n")

    def contimg(self, *words, status=0):
        done = subprocess.run([CONTIMG, *(str(w) for w in words)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def mosaic(self, *words, out="m", status=0):
        done = self.contimg("mosaic", *words, "--out", self.root / out, "--overwrite", "--no-durable", "--json", status=status)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def map(self, kind, out="m"):
        with fits.open(self.root / f"{out}.{kind}.fits") as file:
            return file[0].data.squeeze().astype(float), file[0].header

    def refused(self, report):
        return [(t["name"], t["refusal"]) for t in report["tiles"] if not t["used"]]

    def spoiled(self, kind, words, *options, **how):
        """A tile in place of the third, spoiled: it is left out, and said so."""
        make_tile(self.root / "bad", 0.15, 54.0, self.sources, 2, **how)
        done = self.contimg("mosaic", *self.tiles[:2], self.root / "bad", self.tiles[3], *options, "--out", self.root / "b",
                            "--overwrite", "--no-durable", "--json")
        report = json.loads(done.stdout)
        self.assertEqual(self.refused(report), [("bad", kind)])
        self.assertIn(words, done.stderr)
        self.assertIn("bad is left out", done.stderr)
        self.assertEqual(report["quality"]["grade"], "B")
        table = Table.read(self.root / "b.tiles.fits")
        self.assertEqual([bool(u) for u, n in zip(table["used"], table["name"])], [n.strip() != "bad" for n in table["name"]])
        return report

    def test_fluxes_places_and_header_over_hour_zero(self):
        report = self.mosaic(*self.tiles, "--catalogue", self.root / "list.csv")
        self.assertEqual((report["tiles_used"], report["tiles_refused"]), (4, 0))
        self.assertEqual(report["grid"]["projection"], "ZEA")
        image, header = self.map("image")
        rms, _ = self.map("rms")
        wcs = WCS(header).celestial
        self.assertEqual(list(wcs.wcs.ctype), ["RA---ZEA", "DEC--ZEA"])
        x, y = wcs.wcs_world2pix(self.sources[:, 0], self.sources[:, 1], 0)
        self.assertTrue((header["NTILES"], header["NREFUSED"]) == (4, 0) and header["EFFNOISE"] > 0 and header["BUNIT"] == "Jy/beam")
        self.assertAlmostEqual(header["MJD-BEG"], 60961.5, 6)
        self.assertAlmostEqual(header["BMAJ"], MAJOR, 6)
        # The catalogue of the mosaic, judged with astropy's idea of the map.
        found = json.loads(self.contimg("sources", self.root / "m", "--json").stdout)["sources"]
        fx, fy = wcs.wcs_world2pix([s["ra_deg"] for s in found], [s["dec_deg"] for s in found], 0)
        n = 0
        for sx, sy, flux in zip(x, y, self.sources[:, 2]):
            if not (0 <= sx < image.shape[1] - 1 and 0 <= sy < image.shape[0] - 1):
                continue
            sigma = rms[int(round(sy)), int(round(sx))]
            if not (flux > 30 * sigma and sigma < 9 * np.nanmin(rms)):  # beyond, `sources` does not look
                continue
            k = np.argmin(np.hypot(fx - sx, fy - sy))
            self.assertLess(np.hypot(fx[k] - sx, fy[k] - sy), 0.5)
            self.assertLess(abs(found[k]["flux_jy"] - flux), 5 * sigma)
            n += 1
        self.assertGreater(n, 20)
        self.assertAlmostEqual(report["quality"]["catalogue"]["flux_ratio_median"], 1, delta=0.005)
        self.assertGreater(report["quality"]["catalogue"]["sources"], 10)
        self.assertLess(report["quality"]["catalogue"]["offset_median_beams"], 0.04)
        rows = list(Table.read(self.photometry("m"), format="ascii.csv"))
        ratio = [r["flux_jy"] / self.sources[r["source_id"] - 1, 2] for r in rows if r["flux_jy"] > 40 * r["flux_error_jy"]]
        self.assertAlmostEqual(np.median(ratio), 1, delta=0.005)

    def test_what_clean_left_is_in_the_errors(self):
        self.mosaic(*self.tiles)
        before = Table.read(self.photometry("m"), format="ascii.csv")
        with fits.open(self.root / "m.residual.fits", mode="update") as file:  # as faint sources that all days have
            file[0].data *= 3
        after = Table.read(self.photometry("m"), format="ascii.csv")
        ratio = np.median(np.array(after["flux_error_jy"]) / np.array(before["flux_error_jy"]))
        self.assertTrue(2.4 < ratio < 3.1, ratio)
        (self.root / "m.residual.fits").unlink()  # its noise is then that of the rms map
        alone = Table.read(self.photometry("m"), format="ascii.csv")
        self.assertLessEqual(np.median(np.array(alone["sigma_jy"]) / np.array(before["sigma_jy"])), 1.0001)

    def photometry(self, prefix):
        self.contimg("photometry", self.root / prefix, "--catalogue", self.root / "list.csv", "--out", self.root / "p.csv", "--overwrite")
        return self.root / "p.csv"

    def test_maps_agree_with_each_other_and_blank_is_not_a_number(self):
        self.mosaic(*self.tiles)
        maps = {kind: self.map(kind)[0] for kind in KINDS}
        blank = np.isnan(maps["image"])
        self.assertTrue(0 < blank.sum() < blank.size)
        for pixels in maps.values():
            np.testing.assert_array_equal(np.isnan(pixels), blank)
        self.assertEqual(sum((maps[kind] == 0).sum() for kind in ("rms", "weight")), 0)
        self.assertLess((maps["image"] == 0).sum(), 5)  # by chance
        np.testing.assert_allclose(maps["weight"][~blank], maps["rms"][~blank] ** -2, rtol=1e-5)
        pulls = (maps["residual"] / maps["rms"])[~blank]
        self.assertAlmostEqual(1.4826 * np.median(np.abs(pulls)), 1, delta=0.06)
        self.assertAlmostEqual(self.map("image")[1]["EFFNOISE"], np.median(maps["rms"][~blank]), delta=2e-5)
        # What the rms is worth: two mosaics of other tiles differ by as much as both say.
        self.mosaic(*self.tiles[::2], "--centre", "0,54", out="h0")
        self.mosaic(*self.tiles[1::2], "--centre", "0,54", out="h1")
        (a, ha), (b, hb) = self.map("image", "h0"), self.map("image", "h1")
        (ra, _), (rb, _) = self.map("rms", "h0"), self.map("rms", "h1")
        dx, dy = round(ha["CRPIX1"] - hb["CRPIX1"]), round(ha["CRPIX2"] - hb["CRPIX2"])
        x0, x1, y0, y1 = max(0, dx), min(a.shape[1], b.shape[1] + dx), max(0, dy), min(a.shape[0], b.shape[0] + dy)
        ours, theirs = np.s_[y0:y1, x0:x1], np.s_[y0 - dy:y1 - dy, x0 - dx:x1 - dx]
        d = ((a[ours] - b[theirs]) / np.hypot(ra[ours], rb[theirs]))
        d = d[np.isfinite(d)]
        self.assertAlmostEqual(1.4826 * np.median(np.abs(d - np.median(d))), 1, delta=0.1)

    def test_order_and_threads_change_no_bit(self):
        self.mosaic(*self.tiles, "--threads", 1, out="a")
        self.mosaic(*self.tiles[::-1], "--threads", 3, out="b")
        for kind in KINDS:
            self.assertEqual((self.root / f"a.{kind}.fits").read_bytes(), (self.root / f"b.{kind}.fits").read_bytes(), kind)
        self.assertEqual((self.root / "a.tiles.fits").read_bytes(), (self.root / "b.tiles.fits").read_bytes())

    def test_the_pole_is_a_place_like_others(self):
        rng = np.random.default_rng(4)
        places = [(rng.uniform(0, 360), 90 - 0.5 * np.sqrt(rng.uniform())) for _ in range(12)]
        sources = np.array([[ra, dec, 0.3] for ra, dec in places])
        tiles = []
        for i in range(4):
            make_tile(self.root / f"pole{i}", 90 * i + 20, 89.75, sources, i)
            tiles.append(self.root / f"pole{i}")
        report = self.mosaic(*tiles, out="pole")
        self.assertAlmostEqual(report["grid"]["dec_deg"], 90, 6)
        image, header = self.map("image", "pole")
        rms, _ = self.map("rms", "pole")
        x, y = WCS(header).celestial.wcs_world2pix(sources[:, 0], sources[:, 1], 0)
        for sx, sy in zip(x, y):
            at = int(round(sy)), int(round(sx))
            near = image[at[0] - 2:at[0] + 3, at[1] - 2:at[1] + 3].max()
            self.assertLess(abs(near - 0.3), 0.01 + 6 * rms[at])

    def test_one_tile_and_two_without_overlap(self):
        report = self.mosaic(self.tiles[0])
        self.assertEqual(report["tiles_used"], 1)
        self.assertEqual(report["quality"]["grade"], "A")
        make_tile(self.root / "far", 3.0, 54.0, self.sources, 9)
        report = self.mosaic(self.tiles[0], self.root / "far")
        self.assertEqual(report["tiles_used"], 2)
        self.assertEqual([t["references"] for t in report["tiles"]], [0, 0])
        self.assertEqual(report["quality"]["grade"], "B")
        self.assertIn("share too few bright sources", report["quality"]["reasons"][0])
        make_tile(self.root / "farther", 120.0, 54.0, self.sources, 10)
        said = self.mosaic(self.tiles[0], self.root / "farther", status=2)
        self.assertRegex(said, r"span more than the 60 degrees of a mosaic in ZEA \(t0 and farther are [0-9.]+ degrees apart\)")

    def test_all_declinations_are_alike(self):
        for dec in (16.1, 72.0, 85.0):
            sources, turn = sky(dec), 1 / np.cos(np.radians(dec))
            tiles = [self.root / f"d{i}" for i in range(3)]
            for i, tile in enumerate(tiles):
                make_tile(tile, 0.18 * turn * (i - 1), dec, sources, i)
            with open(self.root / "dec.csv", "w") as file:
                file.write("name,ra_deg,dec_deg,flux_jy\n")
                file.writelines(f"s{i},{ra % 360:.8f},{d:.8f},{flux}\n" for i, (ra, d, flux) in enumerate(sources))
            report = self.mosaic(*tiles, "--catalogue", self.root / "dec.csv", out="d")
            quality = report["quality"]["catalogue"]
            self.assertEqual(report["tiles_used"], 3)
            self.assertGreater(quality["sources"], 10)
            self.assertAlmostEqual(quality["flux_ratio_median"], 1, delta=0.005)
            self.assertLess(quality["offset_median_beams"], 0.04)
            self.assertLess(np.hypot(quality["offset_east_arcsec"], quality["offset_north_arcsec"]), 0.6)

    def test_the_map_is_where_astropy_has_it(self):
        """Bright sources without noise under an even primary beam: fitted on the map, and where astropy's WCS puts them, to a ten thousandth of a pixel."""
        from scipy.optimize import curve_fit
        for dec, step, words in ((16.1, 0.3, ()), (72.0, 0.8, ()), (89.8, 90.0, ()), (54.0, 0.3, ("--projection", "SIN"))):
            turn = 1 / np.cos(np.radians(dec))
            if step == 90.0:
                sources = np.array([[72.0 * i, 89.91, 1.0] for i in range(5)])
            else:
                sources = np.array([[(0.15 * i + 0.01 * j) * turn, dec + 0.14 * j, 1.0] for i in range(-2, 3) for j in (-1, 0, 1)])
            tiles = [self.root / f"q{i}" for i in range(3)]
            for i, tile in enumerate(tiles):
                make_tile(tile, step * (i - 1), dec, sources, i, quiet=1e-4, width=1e5, shape=(60 / 3600, 60 / 3600, 0.0))  # round: turned tiles are alike
            self.mosaic(*tiles, *words, out="q")
            image, header = self.map("image", "q")
            x, y = unwarned(WCS, header).celestial.wcs_world2pix(sources[:, 0], sources[:, 1], 0)
            off = []
            for sx, sy in zip(x, y):
                i0, j0 = round(sx), round(sy)
                j, i = np.mgrid[j0 - 5:j0 + 6, i0 - 5:i0 + 6]
                if j.min() < 0 or i.min() < 0 or j.max() >= image.shape[0] or i.max() >= image.shape[1]:
                    continue
                core = image[j, i]
                if not np.isfinite(core).all():
                    continue
                # The logarithm of a Gaussian is a quadratic form.
                use = core > 0.3
                u, v = (i - sx)[use], (j - sy)[use]
                terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)
                weight = core[use]
                c = np.linalg.lstsq(terms * weight[:, None], np.log(core[use]) * weight, rcond=None)[0]
                off.append(np.linalg.solve([[2 * c[3], c[4]], [c[4], 2 * c[5]]], -c[1:3]))
            self.assertGreater(len(off), 4)
            self.assertLess(np.hypot(*np.median(off, axis=0)), 1e-4, (dec, off))
            self.assertLess(np.median(np.hypot(*np.transpose(off))), 3e-4, (dec, off))

    def test_two_mosaics_of_a_strip_join(self):
        """A strip as a sequence of mosaics: where the same tiles lie in two of them, they agree to what interpolation errs by."""
        from scipy import ndimage
        tiles = [self.root / f"j{i}" for i in range(6)]
        for i, tile in enumerate(tiles):
            make_tile(tile, 0.6 * (i - 2.5), 54.0, self.sources, 20 + i)
        first, second = self.mosaic(*tiles[:4], out="strip0"), self.mosaic(*tiles[2:], out="strip1")
        for report in (first, second):
            self.assertLess(report["quality"]["seams"], 1.25)
        (a, ha), (b, hb) = self.map("image", "strip0"), self.map("image", "strip1")
        (ra, _), (rb, _) = self.map("rms", "strip0"), self.map("rms", "strip1")
        y, x = np.nonzero(np.isfinite(a))
        place = unwarned(WCS, ha).celestial.wcs_pix2world(x, y, 0)
        tile_of = []
        for tile in tiles:
            tx, ty = unwarned(WCS, fits.getheader(f"{tile}.image.fits")).celestial.wcs_world2pix(*place, 0)
            tile_of.append(np.maximum(np.abs(tx - 199.5), np.abs(ty - 199.5)))  # from its middle
        shared = np.logical_or(tile_of[2] < 190, tile_of[3] < 190)
        for k in (0, 1, 4, 5):
            shared &= ~(tile_of[k] < 210)
        for k in (2, 3):
            shared &= ~((tile_of[k] >= 190) & (tile_of[k] < 210))
        bx, by = unwarned(WCS, hb).celestial.wcs_world2pix(*place, 0)
        shared &= (bx > 8) & (by > 8) & (bx < b.shape[1] - 9) & (by < b.shape[0] - 9)
        self.assertGreater(shared.sum(), 20000)
        x, y, bx, by = x[shared], y[shared], bx[shared], by[shared]
        blank = ndimage.map_coordinates(np.isnan(b).astype(float), [by, bx], order=1) > 0
        read = ndimage.map_coordinates(np.nan_to_num(b), [by, bx], order=5)
        difference = ((read - a[y, x]) / ra[y, x])[~blank]
        self.assertLess(np.percentile(np.abs(difference), 95), 0.01)
        noise_too = ndimage.map_coordinates(np.nan_to_num(rb), [by, bx], order=1) / ra[y, x]
        self.assertLess(np.percentile(np.abs(noise_too[~blank] - 1), 95), 2e-3)

    def test_a_tile_that_differs_at_its_edges_is_named(self):
        good = self.mosaic(*self.tiles)["quality"]
        self.assertLess(good["seams"], 1.2)
        self.assertTrue(0.8 < good["differences"] < 1.15, good["differences"])
        self.assertTrue(1.5 < good["tiles_deep"] < 4, good["tiles_deep"])
        self.assertNotIn("rms_over_thermal", good)
        make_tile(self.root / "loud", 0.15, 54.0, self.sources, 2, louder=2.0)
        for tile, thermal in zip([*self.tiles[:2], self.root / "loud", self.tiles[3]], (0.001, 0.001, 0.0005, 0.001)):
            pathlib.Path(f"{tile}.metrics.json").write_text(json.dumps({"quality": {"grade": "A", "thermal_rms_jy": thermal}}))
        report = self.mosaic(*self.tiles[:2], self.root / "loud", self.tiles[3])
        quality = report["quality"]
        self.assertEqual(quality["worst_seam"], "loud")
        self.assertGreater(quality["seams"], 1.6)
        self.assertIn("a tile differs at its edges", " ".join(quality["reasons"]))
        self.assertNotEqual(quality["grade"], "A")
        self.assertAlmostEqual(quality["rms_over_thermal"], np.sqrt((3 + 4) / 4), delta=0.05)
        for path in self.root.glob("*.metrics.json"):
            if path.name[0] in "tl":
                path.unlink()

    def listed(self, name, moved=lambda i: False, brighter=1.0):
        """The list with some sources in places where the sky has nothing."""
        with open(self.root / name, "w") as file:
            file.write("name,ra_deg,dec_deg,flux_jy\n")
            for i, (ra, dec, flux) in enumerate(self.sources):
                ra, dec = ra + 0.055 / np.cos(np.radians(54.0)) * moved(i), dec + 0.055 * moved(i)
                file.write(f"s{i},{ra % 360:.8f},{dec:.8f},{flux * brighter}\n")
        return self.root / name

    def test_completeness_is_the_part_of_the_catalogue_that_is_there(self):
        """All of it; with a third elsewhere two thirds, and a grade that says so; sources that have faded to a third are there."""
        whole = self.mosaic(*self.tiles, "--catalogue", self.root / "list.csv")["quality"]
        found = whole["catalogue"]
        self.assertGreater(found["expected"], 40)
        self.assertEqual((found["matched"], found["completeness"]), (found["expected"], 1))
        self.assertTrue(0 < found["completeness_error"] < 0.03, found)
        self.assertEqual(whole["grade"], "A")
        report = self.mosaic(*self.tiles, "--catalogue", self.listed("moved.csv", moved=lambda i: i % 3 == 0))["quality"]
        third = report["catalogue"]
        self.assertAlmostEqual(third["completeness"], third["matched"] / third["expected"])
        self.assertAlmostEqual(third["completeness"], 2 / 3, delta=0.1)
        self.assertAlmostEqual(third["completeness_error"], np.sqrt(2 / 9 / third["expected"]), delta=0.012)
        self.assertEqual(report["grade"], "C")
        self.assertIn("sources that the catalogue promises are not where they should be", " ".join(report["reasons"]))
        faded = self.mosaic(*self.tiles, "--catalogue", self.listed("faded.csv", brighter=3.0))["quality"]
        self.assertEqual(faded["catalogue"]["completeness"], 1)
        self.assertNotIn("missing", " ".join(faded["reasons"]))
        self.assertNotIn("catalogue", self.mosaic(*self.tiles)["quality"])

    def test_few_pixels_to_a_beam_cost_what_they_cost(self):
        """A beam of three pixels is good enough, one of 2.2 is not: fluxes and the empty sky beside a source tell, and the grade says so."""
        strong = np.array([[0.0, 54.0, 10.0], [0.1, 54.1, 5.0]])
        for pixels, grade, error in ((3.0, "A", 1e-3), (2.2, "F", 2e-2)):
            shape = (1.5 * pixels * CELL, pixels * CELL, 0.0)
            for i in range(3):
                make_tile(self.root / f"n{i}", 0.1 * (i - 1), 54.0, strong, i, shape=shape, quiet=1e-3, width=400)
            quality = self.mosaic(*(self.root / f"n{i}" for i in range(3)), out="n")["quality"]
            gate = next(g for g in quality["gates"] if g["name"] == "resampling")
            self.assertEqual(gate["grade"], grade)
            self.assertLess(quality["resampling_error"], error)
            image, header = self.map("image", "n")
            x, y = WCS(header).celestial.wcs_world2pix(*strong[0, :2], 0)
            px, py = np.round([x, y]).astype(int)
            box = image[py - 14:py + 15, px - 14:px + 15]
            yy, xx = np.mgrid[py - 14:py + 15, px - 14:px + 15]
            left = box - 10 * beam(xx - x, yy - y, shape)
            self.assertLess(np.nanmax(np.abs(left)) / 10, 2.5 * quality["resampling_error"])

    def test_how_far_clean_went_makes_no_difference(self):
        """One tile cleaned to 60 mJy, the others to nothing: fluxes are the same, with the tiles' beam or a wider one."""
        make_tile(self.root / "shallow", 0.15, 54.0, self.sources, 2, left=0.06)
        tiles = [*self.tiles[:2], self.root / "shallow", self.tiles[3]]
        for words in ((), ("--beam", "100,70,30")):
            quality = self.mosaic(*tiles, *words, "--catalogue", self.root / "list.csv")["quality"]["catalogue"]
            self.assertAlmostEqual(quality["flux_ratio_median"], 1, delta=0.005)
            self.assertLess(quality["flux_ratio_scatter"], 0.02)

    def test_the_primary_beam_beyond_its_null_is_not_used(self):
        before = self.map("weight")[0] if self.mosaic(*self.tiles) else None
        pixels, header = fits.getdata(f"{self.tiles[1]}.pb.fits", header=True)
        for kind in ("image", "residual", "smear"):
            shutil.copy(f"{self.tiles[1]}.{kind}.fits", self.root / f"t1lobe.{kind}.fits")
        r = np.hypot(X - SIZE / 2, Y - SIZE / 2)
        fits.writeto(self.root / "t1lobe.pb.fits", np.where(pixels < 0.1, 0.05 * np.exp(-((r - 260) / 30) ** 2), pixels).astype(np.float32), header,
                     overwrite=True)
        self.mosaic(self.tiles[0], self.root / "t1lobe", *self.tiles[2:])
        after = self.map("weight")[0]
        np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
        self.assertTrue((np.nan_to_num(after) <= np.nan_to_num(before) * (1 + 1e-6)).all())

    def test_casacore_has_the_same_coordinates(self):
        try:
            from casacore.images import image as casacore_image
        except ImportError:
            self.skipTest("no python3-casacore")
        self.mosaic(*self.tiles, "--format", "both", out="k")
        pixels, header = self.map("image", "k")
        wcs = unwarned(WCS, header).celestial
        for name in ("k.image.fits", "k.image"):
            other = casacore_image(str(self.root / name))
            self.assertEqual(other.shape(), [1, 1, *pixels.shape])
            for y, x in ((0, 0), (0, pixels.shape[1] - 1), (pixels.shape[0] - 1, 5), (200.5, 360.25)):
                dec, ra = other.toworld([0, 0, y, x])[-2:]
                back = wcs.wcs_world2pix(np.degrees(ra), np.degrees(dec), 0)
                self.assertLess(np.hypot(back[0] - x, back[1] - y), 1e-4)

    def test_swarp_takes_it(self):
        if shutil.which("SWarp") is None:
            self.skipTest("no SWarp (swarp)")
        self.mosaic(*self.tiles, out="v")
        folder = self.root / "swarp"
        folder.mkdir(exist_ok=True)
        pixels, header = self.map("image", "v")
        subprocess.run(["SWarp", self.root / "v.image.fits", "-WEIGHT_TYPE", "MAP_WEIGHT", "-WEIGHT_IMAGE", self.root / "v.weight.fits",
                        "-RESCALE_WEIGHTS", "N", "-FSCALASTRO_TYPE", "NONE", "-SUBTRACT_BACK", "N", "-PROJECTION_TYPE", "ZEA",
                        "-RESAMPLING_TYPE", "LANCZOS4", "-WRITE_XML", "N", "-VERBOSE_TYPE", "QUIET"], cwd=folder, check=True, capture_output=True,
                       timeout=120)
        out, out_header = fits.getdata(folder / "coadd.fits"), fits.getheader(folder / "coadd.fits")
        there = unwarned(WCS, out_header)
        peaks = 0
        for ra, dec, flux in self.sources:
            x, y = (float(v) for v in unwarned(WCS, header).celestial.wcs_world2pix(ra, dec, 0))
            i, j = (round(float(v)) for v in there.wcs_world2pix(ra, dec, 0))
            if not (20 < x < pixels.shape[1] - 20 and 20 < y < pixels.shape[0] - 20 and flux > 0.1):
                continue
            here = np.nanmax(pixels[round(y) - 2:round(y) + 3, round(x) - 2:round(x) + 3])
            self.assertAlmostEqual(out[j - 2:j + 3, i - 2:i + 3].max() / here, 1, delta=0.02)
            peaks += 1
        self.assertGreater(peaks, 10)

    def test_sextractor_reads_the_same_fluxes(self):
        program = shutil.which("source-extractor") or shutil.which("sex")
        if program is None:
            self.skipTest("no SExtractor (source-extractor)")
        self.mosaic(*self.tiles, out="e")
        folder = self.root / "sextractor"
        folder.mkdir(exist_ok=True)
        (folder / "p.param").write_text("X_IMAGE\nY_IMAGE\nFLUX_MAX\nFLUX_AUTO\n")
        subprocess.run([program, self.root / "e.image.fits", "-PARAMETERS_NAME", "p.param", "-FILTER", "N", "-CATALOG_NAME", "e.cat",
                        "-DETECT_THRESH", "0.03", "-THRESH_TYPE", "ABSOLUTE", "-ANALYSIS_THRESH", "0.003", "-BACK_TYPE", "MANUAL", "-BACK_VALUE",
                        "0", "-WEIGHT_TYPE", "MAP_WEIGHT", "-WEIGHT_IMAGE", self.root / "e.weight.fits", "-CATALOG_TYPE", "ASCII_HEAD"],
                       cwd=folder, check=True, capture_output=True, timeout=120)
        theirs = np.loadtxt(folder / "e.cat")
        header = self.map("image", "e")[1]
        ours = json.loads(self.contimg("sources", self.root / "e", "--json").stdout)["sources"]
        x, y = unwarned(WCS, header).celestial.wcs_world2pix([s["ra_deg"] for s in ours], [s["dec_deg"] for s in ours], 0)
        area = np.pi / (4 * np.log(2)) * header["BMAJ"] * header["BMIN"] / CELL**2
        peak, total = [], []
        for k, source in enumerate(ours):
            away = np.hypot(theirs[:, 0] - 1 - x[k], theirs[:, 1] - 1 - y[k])
            if source["snr"] < 60 or away.min() > 1.5:
                continue
            peak.append(theirs[away.argmin(), 2] / source["flux_jy"])
            total.append(theirs[away.argmin(), 3] / area / source["flux_jy"])
        self.assertGreater(len(peak), 20)
        self.assertAlmostEqual(np.median(peak), 1, delta=0.006)  # its peaks are of whole pixels
        self.assertAlmostEqual(np.median(total), 1, delta=0.02)

    def test_two_days_are_one_mosaic(self):
        make_tile(self.root / "day2", -0.4, 54.0, self.sources, 300)
        self.assertEqual(self.mosaic(*self.tiles, self.root / "day2")["tiles_used"], 5)

    def test_a_wrong_flux_scale_is_refused_or_applied(self):
        report = self.spoiled("scale", "times those of the others", scale=0.69)
        bad = next(t for t in report["tiles"] if t["name"] == "bad")
        self.assertAlmostEqual(bad["scale"], 0.69, delta=0.01)
        both = [*self.tiles[:2], self.root / "bad", self.tiles[3], "--max-scale-error", "0.5", "--catalogue", self.root / "list.csv"]
        self.assertLess(self.mosaic(*both)["quality"]["catalogue"]["flux_ratio_median"], 0.985)
        report = self.mosaic(*both, "--apply-scale")
        self.assertAlmostEqual(report["quality"]["catalogue"]["flux_ratio_median"], 1, delta=0.006)
        self.assertAlmostEqual(next(t for t in report["tiles"] if t["name"] == "bad")["factor"], 1 / 0.69, delta=0.02)

    def test_tiles_that_do_not_fit_are_named(self):
        self.spoiled("beam", "its beam of 104.0\" x 50.0\"", BMAJ=MAJOR * 1.3)
        self.spoiled("beam", "its beam of 84.0\" x 50.0\"", "--beam", "per-tile", BMAJ=MAJOR * 1.05)
        self.spoiled("frequency", "1480.0 MHz instead of 1400.0 MHz", RESTFRQ=1.48e9)
        self.spoiled("unreadable", "BMAJ", BMAJ=0.0)
        self.spoiled("blank", "blank or zero", scale=np.nan)
        self.spoiled("blank", "blank or zero", scale=0.0)
        (self.root / "bad.metrics.json").write_text(json.dumps({"quality": {"grade": "F"}}))
        self.spoiled("grade", "grade F")
        (self.root / "bad.metrics.json").unlink()
        report = self.mosaic(*self.tiles, f"{self.tiles[1]}.image.fits")
        self.assertEqual(self.refused(report), [("t1", "twice")])
        for kind in ("image", "residual", "pb", "smear"):
            pixels, header = fits.getdata(f"{self.tiles[2]}.{kind}.fits", header=True)
            header["CRPIX1"] -= 20
            fits.writeto(self.root / f"bad.{kind}.fits", pixels[:, 20:-20], header, overwrite=True)
        self.assertEqual(self.refused(self.mosaic(*self.tiles[:2], self.root / "bad", self.tiles[3])), [("bad", "pixels")])

    def mixed(self):
        """The tiles, two of them restored with other beams."""
        for i, shape in ((1, (90 / 3600, 52 / 3600, 30.0)), (2, (82 / 3600, 56 / 3600, 20.0))):
            make_tile(self.root / f"w{i}", 0.3 * (i - 1.5), 54.0, self.sources, i, shape=shape)
        return [self.tiles[0], self.root / "w1", self.root / "w2", self.tiles[3]]

    def widths(self, out, ra, dec):
        """Full widths and angle of the source there: a free Gaussian fitted to its core."""
        from scipy.optimize import curve_fit
        image, header = self.map("image", out)
        x, y = (float(v) for v in WCS(header).celestial.wcs_world2pix(ra, dec, 0))
        j, i = np.mgrid[round(y) - 6:round(y) + 7, round(x) - 6:round(x) + 7]
        core = image[j, i].ravel()
        use = core > 0.4 * core.max()
        def model(at, peak, x0, y0, major, minor, angle):
            return peak * beam(at[0] - x0, at[1] - y0, (major / 3600, minor / 3600, angle))
        fit, _ = curve_fit(model, (i.ravel()[use], j.ravel()[use]), core[use], (core.max(), x, y, 85, 52, 30))
        return fit[3:]

    def test_beams_that_differ_are_made_one(self):
        tiles = self.mixed()
        report = self.mosaic(*tiles, "--catalogue", self.root / "list.csv", out="w")
        self.assertEqual((report["tiles_used"], report["beam"]["kind"]), (4, "common"))
        self.assertEqual([t["restored"] for t in report["tiles"]], [True] * 4)
        self.assertEqual(list(Table.read(self.root / "w.tiles.fits")["restored"]), [1] * 4)
        self.assertIn("4 tiles restored anew with a beam of 91.1\" x 57.2\" at", str(self.map("image", "w")[1]["HISTORY"]))
        common = report["beam"]
        # The smallest that holds the three: none of them, and little more than each.
        self.assertTrue(90 <= common["major_arcsec"] < 91.5 and 56 < common["minor_arcsec"] < 58, common)
        self.assertAlmostEqual(report["quality"]["catalogue"]["flux_ratio_median"], 1, delta=0.003)
        self.assertLess(report["quality"]["catalogue"]["flux_ratio_scatter"], 0.01)
        ra, dec, _ = max(self.sources, key=lambda s: s[2] - 10 * (abs(s[0]) > 0.4 or abs(s[1] - 54) > 0.2))
        major, minor, angle = self.widths("w", ra, dec)
        self.assertAlmostEqual(major / common["major_arcsec"], 1, delta=0.01)
        self.assertAlmostEqual(minor / common["minor_arcsec"], 1, delta=0.01)
        self.assertAlmostEqual(angle, common["angle_deg"], delta=1.5)
        # The noise is the tiles' own.
        self.mosaic(*self.tiles, out="m")
        np.testing.assert_allclose(self.map("rms", "w")[0], self.map("rms", "m")[0], rtol=1e-6)
        np.testing.assert_allclose(self.map("residual", "w")[0], self.map("residual", "m")[0], atol=5e-3 * RMS)
        # Left as they are; left out; as asked for.
        report = self.mosaic(*tiles, "--beam", "per-tile", "--max-beam-error", "0.2", out="p")
        self.assertEqual(([t["restored"] for t in report["tiles"]], report["beam"]["kind"]), ([False] * 4, "per-tile"))
        self.assertEqual(self.refused(self.mosaic(*tiles, "--beam", "per-tile", out="p")), [("w1", "beam"), ("w2", "beam")])
        report = self.mosaic(*tiles, "--beam", "120,90,-10", out="g")
        self.assertEqual(report["beam"]["kind"], "given")
        self.assertAlmostEqual(report["beam"]["major_arcsec"], 120, delta=0.05)
        self.assertAlmostEqual(self.widths("g", ra, dec)[0], 120, delta=1.2)

    def test_a_beam_that_does_not_hold_a_tile_s_is_refused(self):
        tiles = self.mixed()
        err = self.mosaic(*tiles, "--beam", "95,51,30", out="x", status=2)
        self.assertIn("expected a beam that holds those of all tiles, found 95.0\" x 51.0\" at 30 degrees, but w1 has "
                      "90.0\" x 52.0\" at 30 degrees; the smallest that does is 91.1\" x 57.2\"", err)
        for words in ("wide", "40,20", "20,40,0"):
            self.assertIn("--beam: expected MAJOR,MINOR,ANGLE", self.mosaic(*tiles, "--beam", words, out="x", status=2))
        self.assertFalse(list(self.root.glob("x.*")))
        os.remove(self.root / "w1.residual.fits")
        report = self.mosaic(*tiles, "--no-residual", out="n")
        self.assertEqual(self.refused(report), [("w1", "beam")])
        left = next(t for t in report["tiles"] if t["name"] == "w1")
        self.assertIn("without a residual its beam of 90.0", left["why"])
        self.assertFalse(left["restored"])

    def test_beams_that_agree_change_no_bit(self):
        self.mosaic(*self.tiles, "--beam", "per-tile", out="a")
        self.mosaic(*self.tiles, out="b")
        for kind in KINDS:
            self.assertEqual((self.root / f"a.{kind}.fits").read_bytes(), (self.root / f"b.{kind}.fits").read_bytes(), kind)

    def test_another_beam_is_a_direct_convolution(self):
        """One tile on its own grid, image − residual convolved by scipy pixel by pixel."""
        self.mosaic(self.tiles[1], "--projection", "SIN", "--centre", "359.85,54", "--beam", "110,80,75", out="s")
        image, header = self.map("image", "s")
        own = {kind: fits.getdata(f"{self.tiles[1]}.{kind}.fits").astype(float) for kind in ("image", "residual", "pb", "smear")}
        def moments(major, minor, angle):
            s, c = np.sin(np.radians(angle)), np.cos(np.radians(angle))
            turn = np.array([[s, c], [c, -s]])  # east, north
            return turn @ np.diag([major**2, minor**2]) @ turn
        v = (moments(110, 80, 75) - moments(80, 50, 30)) / 8 / np.log(2) / 36  # variances in pixels
        j, i = np.mgrid[-40:41, -40:41]
        at = np.stack([-i, j])
        kernel = np.exp(-0.5 * np.einsum("ayx,ab,byx->yx", at, np.linalg.inv(v), at))
        kernel *= 110 * 80 / (80 * 50) / kernel.sum()
        model = signal.convolve(own["image"] - own["residual"], kernel, mode="same", method="direct")
        expected = (model + own["residual"]) / (own["pb"] * own["smear"])
        x0, y0 = round(header["CRPIX1"]) - 201, round(header["CRPIX2"]) - 201
        self.assertAlmostEqual(header["CRPIX1"] % 1, 0, 6)
        middle = np.s_[60:340, 60:340]
        np.testing.assert_allclose(image[y0:y0 + 400, x0:x0 + 400][middle], expected[middle], atol=2e-5 * np.abs(expected[middle]).max())

    def test_missing_subbands_are_brought_to_the_frequency(self):
        nu = 1.01 * 1.4e9
        make_tile(self.root / "high", 0.15, 54.0, self.sources, 2, scale=1.01**-0.7, RESTFRQ=nu)
        report = self.mosaic(*self.tiles[:2], self.root / "high", self.tiles[3])
        high = next(t for t in report["tiles"] if t["name"] == "high")
        self.assertAlmostEqual(high["factor"], 1.01**0.7, 6)
        self.assertAlmostEqual(high["scale"], 1, delta=0.01)

    def test_a_hole_in_one_tile_is_filled_by_others(self):
        for kind in ("image", "residual", "pb", "smear"):
            shutil.copy(f"{self.tiles[1]}.{kind}.fits", self.root / f"hole.{kind}.fits")
        with fits.open(self.root / "hole.image.fits", mode="update") as file:
            file[0].data[150:250, 150:250] = np.nan
        self.mosaic(self.root / "hole", out="a")
        self.mosaic(self.root / "hole", self.tiles[0], self.tiles[2], out="b")
        alone, together = self.map("image", "a")[0], self.map("image", "b")[0]
        self.assertTrue(np.isnan(alone[alone.shape[0] // 2, alone.shape[1] // 2]))
        self.assertTrue(np.isfinite(together[together.shape[0] // 2, together.shape[1] // 2]))

    def test_other_forms(self):
        self.mosaic(*self.tiles, "--no-residual", "--format", "casacore", out="c")
        self.assertTrue((self.root / "c.image").is_dir())
        self.assertFalse((self.root / "c.residual").exists())
        self.mosaic(*self.tiles, "--compress", "--projection", "SIN", "--cell", 8, out="z")
        self.mosaic(*self.tiles, out="m")
        counts = [len(json.loads(self.contimg("sources", self.root / x, "--seed", 20, "--json").stdout)["sources"]) for x in ("m", "c", "z")]
        self.assertLess(max(counts) - min(counts), 3, counts)
        with fits.open(self.root / "z.image.fits.fz") as file:
            self.assertEqual(file[1].header["CTYPE1"], "RA---SIN")
            self.assertAlmostEqual(file[1].header["CDELT2"] * 3600, 8)

    def test_how_it_ends(self):
        before = set(os.listdir(self.root))
        (self.root / "words").write_text("no image")
        before.add("words")
        done = self.contimg("mosaic", *self.tiles, self.root / "words", "--out", self.root / "x", "--no-durable", "--overwrite")
        self.assertIn("words is left out: cannot open the FITS image", done.stderr)
        for path in self.root.glob("x.*"):
            path.unlink()
        err = self.mosaic(self.root / "nothing", out="x", status=1)
        self.assertIn("nothing", err)
        (self.root / "taken.rms.fits").write_text("mine")
        done = self.contimg("mosaic", *self.tiles, "--out", self.root / "taken", status=2)
        self.assertIn("taken.rms.fits: the product exists already", done.stderr)
        self.assertEqual((self.root / "taken.rms.fits").read_text(), "mine")
        (self.root / "taken.rms.fits").unlink()
        self.assertEqual(set(os.listdir(self.root)), before)
        self.mosaic(*self.tiles)
        err = self.mosaic(self.root / "m", out="x", status=3)
        self.assertIn("it is a mosaic, not a tile", err)
        self.contimg("mosaic", *self.tiles, "--out", self.root / "x", "--projection", "TAN", status=2)
        text = self.contimg("inspect", self.root / "m.image.fits").stdout
        self.assertIn("(ICRS, ZEA)", text)
        self.assertIn("4 tiles, 0 left out", text)
        os.remove(self.root / "m.rms.fits")
        self.assertIn("expected the rms map of this mosaic", self.contimg("sources", self.root / "m", status=3).stderr)
        self.assertFalse([p for p in os.listdir(self.root) if p.startswith(("x.", ".x"))])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
