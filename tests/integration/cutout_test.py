#!/usr/bin/python3
"""`contimg cutout` against astropy: the same pixels at the same places of the sky, over RA 0 h, near the pole, in SIN and ZEA, plain
and compressed; values; what is refused, in one sentence and without a file left behind.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/cutout_test.py [-v]
"""
import json
import pathlib
import subprocess
import tempfile
import unittest
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from daemon_under_test import BIN

CELL = 6.0  # arcsec
NX, NY = 900, 700


class Cutouts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.pixels = np.random.default_rng(3).normal(0, 1e-3, (NY, NX)).astype("f4")
        cls.pixels[:60, :80] = np.nan
        cls.pixels[350, 450] = 0.7
        cls.places = {}
        for name, projection, ra, dec in (("zero", "ZEA", 359.98, 16.1), ("sin", "SIN", 0.01, -20.0), ("high", "ZEA", 130.0, 85.0),
                                          ("pole", "SIN", 40.0, 89.7)):
            cls.write(name, projection, ra, dec)

    @classmethod
    def header(cls, projection, ra, dec):
        header = fits.Header()
        for axis, kind, value, step, at in ((1, "RA--", ra, -CELL, NX / 2 + 8.25), (2, "DEC-", dec, CELL, NY / 2 - 3.5)):
            header[f"CTYPE{axis}"] = f"{kind}-{projection}"
            header[f"CRPIX{axis}"], header[f"CRVAL{axis}"], header[f"CDELT{axis}"] = at, value, step / 3600
            header[f"CUNIT{axis}"] = "deg"
        header.update({"RADESYS": "ICRS", "BUNIT": "Jy/beam", "BMAJ": 36 / 3600, "BMIN": 24 / 3600, "BPA": 20.0, "RESTFRQ": 1.4e9,
                       "OBJECT": "a field", "NTILES": 7, "NREFUSED": 0, "EFFNOISE": 4e-4, "DATE-OBS": "2025-10-13T13:28:03",
                       "CALTAB1": "a-name-longer-than-a-card-" * 4, "DATAMAX": 0.7})
        header["HISTORY"] = "first line"
        return header

    @classmethod
    def write(cls, name, projection, ra, dec):
        header = cls.header(projection, ra, dec)
        fits.PrimaryHDU(cls.pixels[None, None], header).writeto(cls.root / f"{name}.image.fits")
        fits.PrimaryHDU(np.full((NY, NX), 4e-4, "f4"), header).writeto(cls.root / f"{name}.rms.fits")
        cls.places[name] = WCS(header, naxis=2)

    def contimg(self, *arguments, status=0):
        ran = subprocess.run([BIN / "contimg", *map(str, arguments)], capture_output=True, text=True, check=False)
        self.assertEqual(ran.returncode, status, ran.stderr + ran.stdout)
        return ran

    def check_part(self, cut, image, wcs, pixels=None):
        """Cards kept, coordinates to 1e-4 pixel, pixels where they were."""
        with fits.open(cut) as hdus, fits.open(image) as whole:
            self.assertEqual(len(hdus), 1)
            hdus.verify("exception")
            header, data = hdus[0].header, hdus[0].data.squeeze()
            original = next(h.header for h in whole if h.header.get("NAXIS", 0) >= 2)
            for key in original:
                if key in ("BITPIX", "SIMPLE", "XTENSION", "PCOUNT", "GCOUNT", "EXTEND", "EXTNAME", "HISTORY", "COMMENT", "CRPIX1", "CRPIX2",
                           "DATAMAX", "ZDITHER0", "") or key.startswith("NAXIS"):
                    continue
                self.assertEqual(header[key], original[key], key)
            self.assertFalse({"DATAMAX", "ZDITHER0"} & set(header))  # of the whole, and of how it is packed
            self.assertEqual(list(header["HISTORY"])[0], "first line")
            self.assertIn("cut out of", list(header["HISTORY"])[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            here = WCS(header, naxis=2)
        ny, nx = data.shape
        x, y = np.meshgrid(np.linspace(0, nx - 1, 7), np.linspace(0, ny - 1, 5))
        there_x, there_y = wcs.world_to_pixel(here.pixel_to_world(x, y))
        dx, dy = round(float(np.median(there_x - x))), round(float(np.median(there_y - y)))
        np.testing.assert_allclose(there_x - x, dx, atol=1e-4)
        np.testing.assert_allclose(there_y - y, dy, atol=1e-4)
        np.testing.assert_array_equal(data, (self.pixels if pixels is None else pixels)[dy:dy + ny, dx:dx + nx])
        return here, data

    def test_a_part_is_the_image_there(self):
        for name, wcs in self.places.items():
            image = self.root / f"{name}.image.fits"
            for x, y, size in ((450, 350, "20'"), (3, 5, "0.3"), (896, 640, "900arcsec"), (450, 350, "10deg")):
                place = wcs.pixel_to_world(x, y)
                cut = self.root / f"{name}-{x}-{len(size)}.fits"
                if size == "10deg":  # more than a picture has
                    self.assertIn("expected a size of at most 7 degrees",
                                  self.contimg("cutout", image, f"{place.ra.deg},{place.dec.deg}", "--size", size, "--out", cut, status=2).stderr)
                    self.assertFalse(cut.exists())
                    continue
                self.contimg("cutout", image, f"{place.ra.deg},{place.dec.deg}", "--size", size, "--out", cut)
                here, data = self.check_part(cut, image, wcs)
                at_x, at_y = here.world_to_pixel(place)
                full = round(float({"20'": 1200, "0.3": 1080, "900arcsec": 900}[size]) / CELL)
                if (x, y) == (450, 350):
                    self.assertEqual(data.shape, (full, full))
                    self.assertAlmostEqual(float(at_x), full / 2, delta=0.51)
                    self.assertEqual(data[round(float(at_y)), round(float(at_x))], np.float32(0.7))
                else:
                    self.assertLess(data.shape[0], full)  # it ends where the image does
                # What was cut out can be cut out of.
                again = cut.with_suffix(".again.fits")
                self.contimg("cutout", cut, f"{place.ra.deg},{place.dec.deg}", "--size", "3'", "--out", again)
                self.check_part(again, cut, wcs)

    def test_of_a_compressed_image(self):
        header = self.header("ZEA", 359.98, 16.1)
        path = self.root / "packed.image.fits.fz"
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(self.pixels, header, compression_type="RICE_1", quantize_level=16,
                                                           quantize_method=2, dither_seed=1)]).writeto(path)
        cut = self.root / "unpacked.fits"
        self.contimg("cutout", self.root / "packed", "00:00:00,+16:10:00", "--out", cut)
        self.check_part(cut, path, self.places["zero"], fits.getdata(path, 1))

    def test_values_and_pictures(self):
        place = self.places["zero"].pixel_to_world(450, 350)
        words = f"{place.ra.deg:.7f},{place.dec.deg:.7f}"
        report = json.loads(self.contimg("cutout", self.root / "zero", words, "--json").stdout)
        self.assertAlmostEqual(report["values"]["image"], 0.7, delta=1e-3)
        self.assertAlmostEqual(report["values"]["rms"], 4e-4, delta=1e-7)
        self.assertAlmostEqual(report["noise_jy"], 4e-4, delta=1e-7)
        self.assertEqual(report["pixels"], 200)
        text = self.contimg("cutout", self.root / "zero.rms.fits", words).stdout
        self.assertIn("400 µJy/beam", text)
        picture = self.root / "p.png"
        for kind, size in (("image", "20'"), ("rms", "2"), ("image", "1.4")):
            self.contimg("cutout", self.root / "zero", words, "--kind", kind, "--size", size, "--out", picture, "--overwrite")
            self.assertEqual(picture.read_bytes()[:4], b"\x89PNG")
        blank = self.places["zero"].pixel_to_world(20, 20)
        self.assertIn("blank", self.contimg("cutout", self.root / "zero", f"{blank.ra.deg},{blank.dec.deg}").stdout)

    def test_what_cannot_be_is_said_in_one_sentence(self):
        out, image = self.root / "none.fits", self.root / "zero"
        for arguments, sentence, status in (
                ((image, "10,16.1", "--out", out), "expected a place in the image", 2),
                ((image, "180,-16.1", "--out", out), "expected a place in the image", 2),
                ((image, "nan,nan", "--out", out), "expected RA,DEC", 2),
                ((image, "0,inf", "--out", out), "expected RA,DEC", 2),
                ((image, "0", "--out", out), "expected RA,DEC", 2),
                ((image, "0,16.1", "--size", "nan", "--out", out), "expected an angle", 2),
                ((image, "0,16.1", "--size", "-3'", "--out", out), "expected an angle", 2),
                ((image, "0,16.1", "--size", "1e300", "--out", out), "expected a size", 2),
                ((image, "0,16.1", "--kind", "psf", "--out", out), "expected image, rms", 2),
                ((image, "0,16.1", "--out", self.root / "x.jpg"), ".fits or .png", 2),
                ((self.root / "absent", "0,16.1", "--out", out), "found no such file", None)):
            ran = subprocess.run([BIN / "contimg", "cutout", *map(str, arguments)], capture_output=True, text=True, check=False)
            self.assertIn(sentence, ran.stderr)
            self.assertNotEqual(ran.returncode, 0)
            if status is not None:
                self.assertEqual(ran.returncode, status, ran.stderr)
            self.assertEqual(len(ran.stderr.strip().splitlines()[0].split(". ")), 1, ran.stderr)
            self.assertFalse(out.exists())
        out.write_text("mine")
        self.assertIn("exists already; --overwrite", self.contimg("cutout", image, "0,16.1", "--out", out, status=2).stderr)
        self.assertEqual(out.read_text(), "mine")
        self.contimg("cutout", image, "0,16.1", "--out", out, "--overwrite")
        self.assertEqual(fits.getheader(out)["OBJECT"], "a field")
        self.assertEqual([p for p in self.root.iterdir() if p.name.startswith(".")], [])  # nothing unfinished


if __name__ == "__main__":
    unittest.main(verbosity=2)
