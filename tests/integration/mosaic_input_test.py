#!/usr/bin/python3
"""`contimg mosaic` and what it is given: tiles of other programs, damaged ones, numbers out of any range, names of any kind, folders in
which something is already. Right, or refused in one sentence.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/mosaic_input_test.py [-v]
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import numpy as np
from astropy.io import fits
from astropy.table import Table

from mosaic_test import CELL, CONTIMG, KINDS, make_tile, sky

PARTS = ("image", "residual", "pb", "smear")


class MosaicInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-mosaic-input-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        sources = sky(54.0)
        cls.tiles = [cls.root / f"t{i}" for i in range(3)]
        for i, tile in enumerate(cls.tiles):
            make_tile(tile, 0.3 * (i - 1), 54.0, sources, i)

    def contimg(self, *words, status=0, cwd=None):
        done = subprocess.run([CONTIMG, *(os.fsencode(w) if isinstance(w, pathlib.Path) else str(w) for w in words)], capture_output=True,
                              timeout=60, cwd=cwd, env={k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")})
        done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, status, done.stderr)
        if status:
            self.assertEqual(done.stderr.count("contimg: "), 1, done.stderr)
        return done

    def mosaic(self, *words, out="m", status=0):
        done = self.contimg("mosaic", *words, "--out", self.root / out, "--overwrite", "--no-durable", "--json", status=status)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def changed(self, change, parts=PARTS):
        """The tile in the middle, changed: change(pixels, header) gives both."""
        for part in PARTS:
            pixels, header = fits.getdata(f"{self.tiles[1]}.{part}.fits", header=True)
            if part in parts:
                pixels, header = change(pixels, header)
            fits.writeto(self.root / f"v.{part}.fits", pixels, header, overwrite=True)
        return self.root / "v"

    def refused(self, kind, words, tile, *options):
        report = self.mosaic(self.tiles[0], tile, self.tiles[2], *options)
        left, = [t for t in report["tiles"] if not t["used"]]
        self.assertEqual((left["name"], left["refusal"]), ("v", kind), left)
        self.assertIn(words, left["why"])
        self.assertEqual(fits.getheader(self.root / "m.image.fits")["NTILES"], 2)

    def cards(self, **cards):
        def change(pixels, header):
            for key, value in cards.items():
                header[key] = value
            return pixels, header
        return self.changed(change)

    def test_a_tile_of_another_geometry_is_not_taken_for_one_of_ours(self):
        self.refused("unreadable", "v.image.fits: expected an image with north up and without a slant, found CROTA2 = 30", self.cards(CROTA2=30.0))
        self.refused("unreadable", "PV2_1 = 0.1", self.cards(PV2_1=0.1, PV2_2=0.0))
        self.refused("unreadable", "FK4", self.cards(RADESYS="FK4", EQUINOX=1950.0))
        def with_cd(pixels, header):
            del header["CDELT1"], header["CDELT2"]
            header.update(CD1_1=-CELL, CD1_2=0.0, CD2_1=0.0, CD2_2=CELL)
            return pixels, header
        plain = self.mosaic(*self.tiles)
        report = self.mosaic(self.tiles[0], self.changed(with_cd), self.tiles[2])
        self.assertEqual((report["tiles_used"], report["grid"]), (3, plain["grid"]))

    def test_another_stokes_parameter_is_not_taken_for_i(self):
        tile, places = self.cards(CTYPE3="FREQ", CTYPE4="STOKES", CRVAL4=2.0), self.root / "places.csv"
        self.refused("unreadable", "v.image.fits: expected an image of Stokes I (1 on the axis STOKES), found CRVAL4 = 2", tile)
        places.write_text("name,ra_deg,dec_deg,flux_jy\na,0,54,1\n")
        for words in (("sources", tile), ("photometry", tile, "--catalogue", places)):
            self.assertIn("found CRVAL4 = 2, which makes the first plane 2 (Q); give the image of I", self.contimg(*words, status=3).stderr)

    def test_another_stokes_parameter_in_a_casacore_image(self):
        try:
            from casacore import tables
        except ImportError:
            self.skipTest("no python3-casacore")
        self.mosaic(*self.tiles, "--format", "casacore", out="q")
        table = tables.table(str(self.root / "q.image"), readonly=False, ack=False)
        coordinates = table.getkeyword("coords")
        stokes, = (each for key, each in coordinates.items() if key.startswith("stokes"))
        self.assertEqual(stokes["stokes"], ["I"])
        stokes["stokes"] = ["V"]
        table.putkeyword("coords", coordinates)
        table.close()
        self.assertIn("expected an image of Stokes I, found a first plane of V", self.contimg("sources", self.root / "q", status=3).stderr)

    def test_axes_in_the_order_of_casa(self):
        def casa(pixels, header):
            header.update(CTYPE3="STOKES", CRVAL3=1.0, CRPIX3=1.0, CDELT3=1.0, CTYPE4="FREQ", CRVAL4=1.4e9, CRPIX4=1.0, CDELT4=2e8, CUNIT4="Hz")
            return pixels[None, None], header
        report = self.mosaic(self.tiles[0], self.changed(casa), self.tiles[2])
        self.assertEqual((report["tiles_used"], report["frequency_hz"]), (3, 1.4e9))

    def test_tiles_that_give_nothing_are_not_in_it(self):
        none = "none of its pixels"
        self.refused("blank", none, self.changed(lambda p, h: (p * np.float32(np.inf), h), ("image",)))
        self.refused("blank", none, self.changed(lambda p, h: (-p, h), ("pb",)))
        self.refused("blank", none, self.changed(lambda p, h: (p * 0, h), ("smear",)))
        self.refused("unreadable", "expected a primary beam of at most 1, found 3", self.changed(lambda p, h: (p * 3, h), ("pb",)), "--max-scale-error", 10)
        self.assertIn("v.pb.fits: expected a primary beam of at most 1", self.contimg("sources", self.root / "v", status=3).stderr)
        self.refused("noise", "is the residual that of the image?", self.changed(lambda p, h: (p * np.float32(0.009), h), ("residual",)))
        self.assertIn("expected tiles that fit together", self.mosaic(*self.tiles, "--min-pb", 1, status=3))

    def test_files_that_are_none(self):
        for part in ("image", "residual"):
            tile = self.cards()
            path = pathlib.Path(f"{tile}.{part}.fits")
            path.unlink()
            os.mkfifo(path)
            self.refused("unreadable", "expected a file", tile)
            path.unlink()
        tile = self.cards()
        path = pathlib.Path(f"{tile}.image.fits")
        path.write_bytes(path.read_bytes().replace(b"NAXIS1  =                  400", b"NAXIS1  =          40000000000"))
        self.refused("unreadable", "it is cut off", tile)
        tile = self.cards()
        os.mkfifo(f"{tile}.metrics.json")
        self.assertEqual(self.mosaic(self.tiles[0], tile, self.tiles[2])["tiles_used"], 3)
        os.unlink(f"{tile}.metrics.json")

    def test_times_are_those_of_tiles_that_have_some(self):
        def timeless(pixels, header):
            del header["MJD-BEG"], header["MJD-END"]
            return pixels, header
        self.mosaic(self.tiles[0], self.changed(timeless), self.tiles[2])
        header = fits.getheader(self.root / "m.image.fits")
        self.assertAlmostEqual(header["MJD-BEG"], 60961.5, 6)
        self.assertAlmostEqual(header["MJD-END"], 60961.5 + 3 * 0.0036, 6)

    def test_names_of_any_kind(self):
        for name in (b"a b'\"", b"new\nline", b"bad\xff", b"-dash"):
            for part in PARTS:
                shutil.copy(os.fsencode(f"{self.tiles[1]}.{part}.fits"), os.fsencode(self.root) + b"/" + name + b"." + part.encode() + b".fits")
            tile = pathlib.Path(os.fsdecode(os.fsencode(self.root) + b"/" + name))
            self.assertEqual(self.mosaic(self.tiles[0], tile)["tiles_used"], 2)
            self.contimg("sources", tile, "--json")
            self.assertTrue(Table.read(self.root / "m.tiles.fits")["used"].all())

    def test_numbers_out_of_range(self):
        self.assertIn("--cell: expected pixels of at most half the width of the beam, 25 arcsec, found 26",
                      self.mosaic(*self.tiles, "--cell", 26, status=2))
        self.assertIn("takes 1", self.mosaic(*self.tiles, "--cell", 0.01, status=1))
        for words, expected in ((("--threads", "-1"), "--threads: expected a number from 0 to 1024, found '-1'"),
                                (("--threads", "1.5"), "--threads: expected a whole number, found '1.5'"),
                                (("--cell", "99999999999999999999"), "--cell: expected a number from 0.01 to 3600"),
                                (("--centre", "0,-54"), "span more than the 60 degrees")):
            self.assertIn(expected, self.mosaic(*self.tiles, *words, status=2))
        self.assertIn("--limit: expected a whole number, found '10.5'", self.contimg("mosaic", "list", "--limit", "10.5", status=2).stderr)
        self.assertFalse(list(self.root.glob(".m.part*")))

    def test_what_is_not_ours_is_not_replaced_and_other_forms_go(self):
        (self.root / "d.image.fits").mkdir()
        (self.root / "d.image.fits/mine").write_text("mine")
        self.assertIn("d.image.fits: expected an earlier product", self.mosaic(*self.tiles, out="d", status=2))
        self.assertEqual((self.root / "d.image.fits/mine").read_text(), "mine")
        self.assertIn("--out: expected a name of its own, found that of the tile", self.mosaic(*self.tiles, out="t1", status=2))
        self.assertIn("--out", self.mosaic(*self.tiles[:2], f"{self.tiles[2]}.image.fits", out="t2", status=2))
        self.mosaic(*self.tiles, out="f")
        self.mosaic(*self.tiles[:2], "--compress", out="f")
        self.assertEqual(sorted(p.name for p in self.root.glob("f.*.fits*")), sorted([f"f.{kind}.fits.fz" for kind in KINDS] + ["f.tiles.fits"]))
        self.mosaic(*self.tiles[:2], "--no-residual", out="f")
        self.assertEqual(sorted(p.name for p in self.root.glob("f.*.fits*")), ["f.image.fits", "f.rms.fits", "f.tiles.fits", "f.weight.fits"])
        text = self.contimg("inspect", self.root / "f.tiles.fits").stdout
        self.assertIn("table TILES of 2 rows", text)

    def test_killed_and_made_again_leaves_nothing(self):
        for delay in (0.05, 0.1, 0.15, 0.2):
            process = subprocess.Popen([CONTIMG, "mosaic", *self.tiles, "--out", self.root / "k", "--overwrite"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.mosaic(*self.tiles, out="k")
        self.assertEqual([p.name for p in self.root.iterdir() if p.name.startswith(".k")], [])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
