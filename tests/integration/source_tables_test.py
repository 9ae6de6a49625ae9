#!/usr/bin/python3
"""`contimg photometry` and `contimg sources` from outside: images made with astropy, tables and regions read by astropy, places
and fluxes compared with what was put in.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/source_tables_test.py [-v]
"""
import csv
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
import warnings

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse, parse_single_table
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table
from astropy.wcs import WCS

CONTIMG = pathlib.Path(os.environ["CONTIMG_BIN_DIR"]) / "contimg"
SIZE, CELL = 600, 3.0 / 3600
MAJOR, MINOR, ANGLE = 53.5 / 3600, 28.9 / 3600, 30.0
RMS = 0.001
SOURCES = [(150.3, 200.8, 0.2), (400.6, 410.2, 0.05), (300.1, 120.4, 0.03), (306.6, 124.15, 0.02), (500.5, 300.5, 0.1)]
CATALOGUE = "name,ra_deg,dec_deg,ra_error_arcsec,dec_error_arcsec,flux_jy,flux_error_jy,snr,sigma_jy,response,resolved,group,flags"
PHOTOMETRY = "source_id,name,ra_deg,dec_deg,mjd,product,flux_jy,flux_error_jy,sigma_jy,response,scale,frequency_hz,flags"


def beam(dx, dy, widen=1.0):
    """Unit Gaussian of the beam's shape at offsets in pixels, x to the west."""
    east, north = -dx * CELL, dy * CELL
    s, c = np.sin(np.radians(ANGLE)), np.cos(np.radians(ANGLE))
    along, across = east * s + north * c, east * c - north * s
    return np.exp(-4 * np.log(2) * ((along / MAJOR) ** 2 + (across / MINOR) ** 2) / widen**2)


def noise(rng):
    """Noise that is correlated as the beam, made in the Fourier plane."""
    y, x = np.mgrid[-SIZE // 2:SIZE // 2, -SIZE // 2:SIZE // 2]
    power = np.abs(np.fft.fft2(np.fft.ifftshift(beam(x, y))))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIZE, SIZE))) * np.sqrt(power)).real
    return field * RMS / field.std()


class SourceTablesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-sources-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        header = fits.Header()
        header.update(CTYPE1="RA---SIN", CRPIX1=SIZE // 2 + 1, CRVAL1=0.0, CDELT1=-CELL, CUNIT1="deg",
                      CTYPE2="DEC--SIN", CRPIX2=SIZE // 2 + 1, CRVAL2=54.0, CDELT2=CELL, CUNIT2="deg", BUNIT="Jy/beam",
                      BMAJ=MAJOR, BMIN=MINOR, BPA=ANGLE, RESTFRQ=1.4e9, RADESYS="ICRS")
        header["MJD-BEG"], header["MJD-END"] = 60961.5611, 60961.5647
        y, x = np.mgrid[0:SIZE, 0:SIZE]
        residual = noise(np.random.default_rng(3))
        pb = np.exp(-((x - SIZE / 2) ** 2 + (y - SIZE / 2) ** 2) / 2 / 400.0**2)
        image = residual.copy()
        cls.wcs = WCS(header)
        cls.truth = []
        for sx, sy, flux in SOURCES:  # true fluxes
            image += flux * np.exp(-((sx - SIZE / 2) ** 2 + (sy - SIZE / 2) ** 2) / 2 / 400.0**2) * beam(x - sx, y - sy)
            ra, dec = cls.wcs.wcs_pix2world(sx, sy, 0)
            cls.truth.append((SkyCoord(float(ra), float(dec), unit="deg"), flux))
        for kind, pixels in (("image", image), ("residual", residual), ("pb", pb), ("psf", beam(x - 300, y - 300))):
            fits.writeto(cls.root / f"t.{kind}.fits", pixels.astype(np.float32), header)
        with open(cls.root / "list.csv", "w") as file:
            file.write("name,ra_deg,dec_deg,flux_jy\n")
            for i, (place, flux) in enumerate(cls.truth):
                file.write(f"s{i},{place.ra.deg:.8f},{place.dec.deg:.8f},{flux}\n")
            file.write("far,180,-54,1\n")

    def contimg(self, *words, status=0):
        done = subprocess.run([CONTIMG, *map(str, words)], cwd=self.root, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def check_votable(self, path):
        """Nothing that astropy warns of: the schema, the units, UCDs of the IVOA's vocabulary."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = parse(path, verify="exception").get_first_table()
        for field in table.fields:
            parse_ucd(field.ucd, check_controlled_vocabulary=True)

    def check_fluxes(self, ra, dec, flux, error, sigmas=4):
        for place, true in self.truth:
            near = SkyCoord(ra, dec, unit="deg").separation(place).arcsec
            best = int(np.argmin(near))
            self.assertLess(near[best], 6)
            self.assertLess(abs(flux[best] - true), sigmas * error[best] + 0.003 * true)

    # --- photometry
    def test_photometry_in_every_form(self):
        done = self.contimg("photometry", "t", "--catalogue", "list.csv")
        self.assertEqual(done.stdout.split("\n")[0], PHOTOMETRY)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual([row["source_id"] for row in rows], ["1", "2", "3", "4", "5"])
        self.assertAlmostEqual(float(rows[0]["mjd"]), 60961.5629, places=6)
        self.assertIn("1 outside", done.stderr)
        for name in ("p.csv", "p.vot", "p.fits"):
            self.contimg("photometry", "t.image.fits", "--catalogue", "list.csv", "--out", name)
        tables = [Table.read(self.root / "p.csv"), parse_single_table(self.root / "p.vot").to_table(),
                  Table.read(self.root / "p.fits")]
        for table in tables:
            self.assertEqual(table.colnames[:13], PHOTOMETRY.split(","))
            self.check_fluxes(table["ra_deg"], table["dec_deg"], table["flux_jy"], table["flux_error_jy"])
            np.testing.assert_allclose(table["flux_jy"], tables[0]["flux_jy"], rtol=1e-6)
        self.check_votable(self.root / "p.vot")
        self.assertEqual(str(tables[1]["flux_jy"].unit), "Jy")
        self.assertEqual(str(tables[2]["ra_deg"].unit), "deg")
        self.assertIn("chi2", tables[2].colnames)

    def test_a_place_is_told_apart_from_the_list(self):
        place, flux = self.truth[3]  # beside the third
        at = f"{place.ra.deg:.7f},{place.dec.deg:.7f}"
        alone = json.loads(self.contimg("photometry", "t", "--at", at, "--json").stdout)["measurements"]
        told = json.loads(self.contimg("photometry", "t", "--at", at, "--catalogue", "list.csv", "--json").stdout)
        self.assertEqual(len(told["measurements"]), 1)
        self.assertGreater(alone[0]["flux_jy"], flux + 3 * RMS)
        self.assertLess(abs(told["measurements"][0]["flux_jy"] - flux), 5 * RMS)

    def test_a_missing_psf_is_said_once_and_can_be_given(self):
        for kind in ("image", "residual", "pb"):
            shutil.copyfile(self.root / f"t.{kind}.fits", self.root / f"p.{kind}.fits")
        place = self.truth[0][0]
        at = f"{place.ra.deg:.7f},{place.dec.deg:.7f}"
        for words in (("photometry", "p", "--at", at), ("sources", "p")):
            self.assertEqual(self.contimg(*words).stderr.count("no point-spread function"), 1, words)
            self.assertEqual(self.contimg(*words, "--psf", "t.psf.fits").stderr.count("point-spread"), 0, words)
            self.assertEqual(self.contimg(words[0], "t", *words[2:]).stderr.count("point-spread"), 0, words)

    def test_wrong_use_and_bad_images_end_in_a_sentence(self):
        shutil.copyfile(self.root / "t.image.fits", self.root / "u.image.pbcor.fits")
        with fits.open(self.root / "t.image.fits") as file:
            del file[0].header["BMAJ"]
            file.writeto(self.root / "nobeam.image.fits", overwrite=True)
        with fits.open(self.root / "t.image.fits") as file:
            file[0].data = np.full_like(file[0].data, np.nan)
            file.writeto(self.root / "blank.image.fits", overwrite=True)
        for name, key, value in (("tiny", "BMIN", 1e-9), ("wide", "BMAJ", 50.0)):
            with fits.open(self.root / "t.image.fits") as file:
                file[0].header[key] = value
                file.writeto(self.root / f"{name}.image.fits", overwrite=True)
        with fits.open(self.root / "t.residual.fits") as file:
            file[0].data = file[0].data[:400]
            file.writeto(self.root / "small.residual.fits", overwrite=True)
        for words, status, part in (
                (("sources", "u.image.pbcor.fits"), 2, "u.image.fits"),
                (("sources", "nobeam.image.fits"), 3, "BMAJ"),
                (("sources", "blank.image.fits"), 3, "blank.image.fits: expected noise"),
                (("photometry", "blank.image.fits", "--at", "0,54"), 3, "blank.image.fits: expected noise"),
                (("sources", "tiny.image.fits"), 3, "more than a pixel"),
                (("photometry", "wide.image.fits", "--at", "0,54"), 3, "less than the image"),
                (("sources", "t", "--residual", "small.residual.fits"), 3, "600 by 600"),
                (("sources", "none"), 1, "none"),
                (("sources", "t", "--out", "x.txt"), 2, ".csv"),
                (("sources", "t", "--seed", "2"), 2, "3"),
                (("photometry", "t"), 2, "--at"),
                (("photometry", "t", "--at", "north"), 2, "RA,DEC"),
                (("photometry", "t", "t", "--at", "0,54", "--residual", "t.residual.fits"), 2, "several"),
                (("photometry", "t", "--catalogue", "t.image.fits"), 3, "expected")):
            done = self.contimg(*words, status=status)
            self.assertIn(part, done.stderr)
            self.assertEqual(done.stderr.strip().count("\n"), done.stderr.count("warning"), done.stderr)
            self.assertEqual(done.stdout, "")

    # --- sources
    def test_sources_in_every_form(self):
        for name in ("c.csv", "c.vot", "c.fits"):
            self.contimg("sources", "t", "--out", name)
        self.assertEqual((self.root / "c.csv").read_text().split("\n")[0], CATALOGUE)
        tables = [Table.read(self.root / "c.csv"), parse_single_table(self.root / "c.vot").to_table(),
                  Table.read(self.root / "c.fits")]
        for table in tables:
            self.assertEqual(len(table), len(SOURCES))
            self.assertEqual(table.colnames[:13], CATALOGUE.split(","))
            self.check_fluxes(table["ra_deg"], table["dec_deg"], table["flux_jy"], table["flux_error_jy"])
            np.testing.assert_allclose(table["ra_deg"], tables[0]["ra_deg"], atol=1e-6)
        self.check_votable(self.root / "c.vot")
        self.assertEqual(tables[1]["ra_deg"].unit, "deg")
        self.assertIn("major_arcsec", tables[2].colnames)
        self.assertEqual(list(tables[0]["flux_jy"]), sorted(tables[0]["flux_jy"], reverse=True))
        # Names are those of astropy for the places, truncated.
        for row in tables[0]:
            place = SkyCoord(row["ra_deg"], row["dec_deg"], unit="deg")
            hours = place.ra.hms
            self.assertTrue(row["name"].startswith(f"J{int(hours.h):02d}{int(hours.m):02d}"), row["name"])
        groups = {row["group"] for row in tables[0]}
        self.assertEqual(len(groups), len(SOURCES) - 1)  # two of them are neighbours
        self.contimg("sources", "t", "--out", "c.csv", status=2)
        self.contimg("sources", "t", "--out", "c.csv", "--overwrite", "--threads", "1")
        again = Table.read(self.root / "c.csv")
        self.assertEqual(list(again["flux_jy"]), list(tables[0]["flux_jy"]))

    def test_places_are_as_good_as_their_errors(self):
        report = json.loads(self.contimg("sources", "t", "--json").stdout)
        for place, _flux in self.truth:
            best = min(report["sources"], key=lambda s: SkyCoord(s["ra_deg"], s["dec_deg"], unit="deg").separation(place))
            east, north = place.spherical_offsets_to(SkyCoord(best["ra_deg"], best["dec_deg"], unit="deg"))
            self.assertLess(abs(east.arcsec), 4 * best["ra_error_arcsec"] + 0.01)
            self.assertLess(abs(north.arcsec), 4 * best["dec_error_arcsec"] + 0.01)
        four = report["false_alarms"][0]
        self.assertEqual(four["threshold"], 4)
        self.assertGreater(four["expected"], 0.5)
        self.assertLess(four["negative"], 4 * four["expected"] + 5)

    def test_regions(self):
        self.contimg("sources", "t", "--regions", "c.reg")
        text = (self.root / "c.reg").read_text()
        self.assertTrue(text.startswith("# Region file format: DS9"))
        found = re.findall(r'ellipse\(([\d.]+),([-+\d.]+),([\d.]+)",([\d.]+)",([\d.]+)\)', text)
        self.assertEqual(len(found), len(SOURCES))
        for place, _flux in self.truth:
            away = [SkyCoord(float(r[0]), float(r[1]), unit="deg").separation(place).arcsec for r in found]
            self.assertLess(min(away), 6)
        self.assertAlmostEqual(2 * float(found[0][2]), MAJOR * 3600, places=1)
        try:
            from regions import Regions  # python3-regions
        except ImportError:
            return
        self.assertEqual(len(Regions.parse(text, format="ds9")), len(SOURCES))


if __name__ == "__main__":
    unittest.main()
