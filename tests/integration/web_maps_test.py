#!/usr/bin/python3
"""The daemon's maps in a real browser: any place of a mosaic over RA 0 h, of one at declination 85 and of a tile; by links, by clicks on
the picture with scripts and without, by place and by name; on a phone; what is downloaded, as astropy reads it; what is refused.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/web_maps_test.py [-v]

With CONTIMG_WEB_PICTURES=DIR screenshots of every page are left in DIR for a look.
"""
import csv
import io
import json
import re
import shutil
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from daemon_under_test import wait_for
from web_sources_test import COLUMNS
from web_test import HOSTILE, SKIPPED, Browser, Site, mjd, stamp

CELL, NX, NY, NOISE = 6.0, 1500, 1100, 4e-4  # arcsec, pixels, Jy/beam
BEAM = (36.0, 20.0, 25.0)  # arcsec, degrees from north through east
PARTS = (("image", "mosaic"), ("residual", "mosaic.residual"), ("rms", "rms"), ("weight", "weight"))


def sky(projection, ra, dec, places):
    """A header, and the pixels of points (x, y, Jy) in its beam."""
    header = fits.Header()
    for axis, kind, value, step, at in ((1, "RA--", ra, -CELL, NX / 2 + 1), (2, "DEC-", dec, CELL, NY / 2 + 1)):
        header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = f"{kind}-{projection}", "deg"
        header[f"CRPIX{axis}"], header[f"CRVAL{axis}"], header[f"CDELT{axis}"] = at, value, step / 3600
    header.update({"RADESYS": "ICRS", "BUNIT": "Jy/beam", "BMAJ": BEAM[0] / 3600, "BMIN": BEAM[1] / 3600, "BPA": BEAM[2], "RESTFRQ": 1.4e9,
                   "NTILES": 12})
    pixels = np.zeros((NY, NX), "f4")
    y, x = np.mgrid[:NY, :NX]
    angle = np.radians(BEAM[2])
    for at_x, at_y, flux in places:
        east, north = -(x - at_x) * CELL, (y - at_y) * CELL
        along, across = east * np.sin(angle) + north * np.cos(angle), east * np.cos(angle) - north * np.sin(angle)
        pixels += flux * np.exp(-4 * np.log(2) * ((along / BEAM[0]) ** 2 + (across / BEAM[1]) ** 2)).astype("f4")
    return header, pixels


class Maps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.end)
        cls.site.start()
        cls.site.make_databases()
        cls.places = [(750.0, 550.0, 0.08), (400.0, 700.0, 0.3), (1100.0, 300.0, 0.02), (1400.0, 1000.0, 0.6)]
        rng = np.random.default_rng(11)
        cls.places += [(rng.uniform(60, NX - 60), rng.uniform(60, NY - 60), 1.5e-3 * 10 ** rng.uniform(0, 1.5)) for _ in range(60)]
        cls.begin = time.time() - 3 * 86400
        cls.zero = cls.add_mosaic(0, "ZEA", 359.95, 16.1)
        cls.high = cls.add_mosaic(1, "ZEA", 200.0, 85.0)
        cls.tile = cls.add_tile()
        cls.record_sources()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def write(cls, path, header, pixels):
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.PrimaryHDU(pixels.astype("f4"), header).writeto(path)
        return path

    @classmethod
    def save(cls, db, kind, path, group, at):
        return db.execute("INSERT INTO products (kind, path, group_id, start_mjd, end_mjd, ra_deg, dec_deg, size_bytes, checksum, qa_json, "
                          "qa_grade, status, archive_path, created_at, updated_at) VALUES (?,?,?,?,?,0,16.1,?,'c0ffee5eed00d1ce','{}','A',"
                          "'present','',?,?)", (kind, str(path), group, mjd(at), mjd(at + 3600), path.stat().st_size, at, at)).lastrowid

    @classmethod
    def add_mosaic(cls, day, projection, ra, dec):
        header, pixels = sky(projection, ra, dec, cls.places)
        noise = np.random.default_rng(day).normal(0, NOISE, pixels.shape)
        # As a mosaic has it: noise rises to its edges, beyond which it is blank.
        y, x = np.mgrid[:NY, :NX]
        out = ((x - NX / 2) / (NX / 2)) ** 8 + ((y - NY / 2) / (NY / 2)) ** 8
        rms = NOISE * (1 + 3 * out)
        rms[out > 1] = np.nan
        at = cls.begin + day * 86400
        name = f"{stamp(at)}_{stamp(at + 3711)}_{dec:+.1f}"
        images = {"image": pixels + noise * rms / NOISE, "residual": noise * rms / NOISE, "rms": rms, "weight": rms ** -2}
        with cls.site.database("products") as db:
            for part, kind in PARTS:
                path = cls.write(cls.site.scratch / f"images/mosaics/{name}.{part}.fits", header.copy(), images[part])
                image = cls.save(db, kind, path, name, at)
            row = dict(name=name, kind="hourly", strip_deg=dec, lst_start_h=23.5, lst_end_h=0.53, start_mjd=mjd(at), end_mjd=mjd(at + 3711),
                       version=1, state="closed", why="", grade="A", n_used=12, n_refused=0, settings_hash="", is_reference=0, image_id=image,
                       updated_at=at)
            db.execute(f"INSERT INTO mosaics ({','.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values()))
        cls.wcs = {**getattr(cls, "wcs", {}), name: WCS(header)}
        return name

    @classmethod
    def add_tile(cls):
        group = stamp(cls.begin)
        cls.site.add_group(cls.begin)
        header, pixels = sky("SIN", 359.95, 16.1, cls.places)
        del header["NTILES"]
        y, x = np.mgrid[:NY, :NX]
        response = np.exp(-((x - NX / 2) ** 2 + (y - NY / 2) ** 2) / (2 * 400.0 ** 2))
        noise = np.random.default_rng(9).normal(0, NOISE, pixels.shape)
        with cls.site.database("products") as db:
            for part, image in (("image", pixels * response + noise), ("residual", noise), ("pb", response)):
                path = cls.write(cls.site.scratch / f"images/single/{group}.{part}.fits", header.copy(), image)
                cls.save(db, part, path, group, cls.begin)
        return group

    @classmethod
    def record_sources(cls):
        rows = []
        for name in (cls.zero, cls.high):
            for number, (x, y, flux) in enumerate(cls.places):
                at = cls.wcs[name].pixel_to_world(x, y)
                rows += [dict(zip(COLUMNS, (number + 1, f"s{len(rows)}", at.ra.deg, at.dec.deg, f"{mjd(cls.begin + 309 * k):.9f}",
                                            stamp(cls.begin + 309 * k), flux, NOISE, NOISE, 0.7, 1, 1.4e9, 0))) for k in range(2)]
        table = cls.site.root / "photometry.csv"
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        cls.site.answer("lightcurve", "record", table)

    # --- helpers
    @staticmethod
    def page(name, **query):
        return ("/groups/" if "_" not in name else "/mosaics/") + urllib.parse.quote(name) + "/map" + (
            "?" + urllib.parse.urlencode(query) if query else "")

    def visit(self, path, browser=None):
        browser = browser or self.browser
        browser.open(self.site.url(path))
        return browser.text()

    def shown(self, browser=None):
        """Where the page is: the place of its address, its values by name."""
        browser = browser or self.browser
        browser.text()
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(browser.run("return location.href")).query)
        values = browser.run("return [...document.querySelectorAll('[aria-labelledby=place] dl div')].map(d => [d.children[0].textContent, "
                             "d.children[1].textContent])")
        return SkyCoord(float(query["ra"][0]), float(query["dec"][0]), unit="deg"), dict(values)

    def check(self, name, width, browser=None):
        browser = browser or self.browser
        browser.run("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; }); return 1")
        wait_for(lambda: browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)"), 30,
                 what="the pictures are there")
        self.assertEqual([e for e in browser.log() if e["level"] in ("SEVERE", "WARNING")], [])
        self.assertEqual([u for u in browser.requests() if not u.startswith((self.site.url("/"), "data:", "chrome:", "about:"))], [])
        self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), width)
        # What is shown of a map has a dot for each of its pixels, or a click would go elsewhere.
        sizes = browser.run("return [...document.querySelectorAll('.map img')].filter(i => i.offsetParent).map(i => [i.clientWidth, "
                            "i.clientHeight, i.naturalWidth, i.naturalHeight])")
        self.assertEqual(len(sizes), 1)
        self.assertEqual(sizes[0][:2], sizes[0][2:])
        browser.screenshot(f"{name}-{width}")

    def click(self, x, y, browser=None):
        """On the map that is shown, at fractions of its sides; answers where that is by the picture's own size."""
        browser = browser or self.browser
        box = browser.run("const i = [...document.querySelectorAll('.map img')].find(i => i.offsetParent); i.scrollIntoView({block: 'start'}); "
                          "const b = i.getBoundingClientRect(); return [b.left, b.top, b.width]")
        before = browser.run("return location.href")
        at = {"x": box[0] + x * box[2], "y": box[1] + y * box[2], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            browser.cdp("Input.dispatchMouseEvent", {"type": kind, **at})
        wait_for(lambda: browser.run("return location.href") != before, 10, what="the click leads to another place")

    def answer(self, path):
        with urllib.request.urlopen(self.site.url(path), timeout=30) as answer:
            return answer.read()

    # --- tests
    def test_pages_at_every_width(self):
        for width in (1400, 1000, 390):
            self.browser.resize(width, 1000)
            self.browser.log()
            self.browser.requests()
            self.assertIn("Look at the map", self.visit("/mosaics/" + urllib.parse.quote(self.zero)))
            for name, query in ((self.zero, {}), (self.zero, {"size": "20'", "ra": "00:00:40", "dec": "16:05:00", "names": "yes"}),
                                (self.zero, {"size": "40'", "kind": "residual"}), (self.zero, {"size": "2.5", "kind": "rms"}),
                                (self.zero, {"size": "1'"}), (self.high, {"size": "1.5"}), (self.tile, {"size": "90arcmin"}),
                                (self.tile, {"size": "2", "kind": "pb"})):
                text = self.visit(self.page(name, **query))
                self.assertIn("Sources in view", text)
                self.check(f"map-{name[:4]}-{'high' if name == self.high else 'tile' if name == self.tile else 'zero'}-"
                           f"{query.get('kind', 'image')}-{re.sub('[^0-9a-z.]', 'm', query.get('size', 'usual'))}", width)

    def test_a_click_goes_there_with_scripts_and_without(self):
        still = Browser(scripts=False)
        self.addCleanup(still.close)
        for browser, width in ((self.browser, 1400), (self.browser, 390), (still, 1400), (still, 390)):
            browser.resize(width, 900)
            for name in (self.zero, self.high):
                wcs = self.wcs[name]
                x, y, flux = self.places[0]
                for from_x, from_y in ((x - 60, y + 45),) if browser is still else ((x - 60, y + 45), (x + 70, y - 20)):
                    at = wcs.pixel_to_world(from_x, from_y)
                    self.visit(self.page(name, ra=f"{at.ra.deg:.6f}", dec=f"{at.dec.deg:.6f}", size="25'"), browser)
                    pixels = 25 * 60 / CELL  # a side; its middle is the edge before the pixel of the place
                    self.click(0.5 + (x - round(from_x) + 0.5) / pixels, 0.5 - (y - round(from_y) + 0.5) / pixels, browser)
                    here, values = self.shown(browser)
                    self.assertLess(here.separation(wcs.pixel_to_world(x, y)).arcsec, 1500 / (720 if width > 800 else 340) + 1)
                    self.assertAlmostEqual(float(values["image"].split()[0]), 1e3 * flux, delta=5)  # mJy, noise and a screen pixel

    def test_the_ways_through_a_map(self):
        self.browser.resize(1400, 1000)
        wcs = self.wcs[self.zero]
        follow = "[...document.querySelectorAll('.steps a, .choices a')].find(a => a.textContent == '{}').click(); return 1"

        def go(words):
            before = self.browser.run("return location.href")
            self.browser.run(follow.format(words))
            wait_for(lambda: self.browser.run("return location.href") != before)
            return self.shown()[0]
        middle = wcs.pixel_to_world(750, 550)
        self.visit(self.page(self.zero, ra=f"{middle.ra.deg:.6f}", dec=f"{middle.dec.deg:.6f}", size="20'"))
        east = go("← east")
        self.assertAlmostEqual(middle.spherical_offsets_to(east)[0].arcmin, 10, delta=0.15)
        back = go("west →")
        self.assertLess(back.separation(middle).arcsec, 0.2)
        north = go("↑ north")
        self.assertAlmostEqual(middle.spherical_offsets_to(north)[1].arcmin, 10, delta=0.15)
        go("wider")
        self.assertIn("40′ across", self.browser.text())
        go("closer"), go("closer")
        self.assertIn("10′ across", self.browser.text())
        go("noise")
        self.assertIn("kind=rms", self.browser.run("return location.search"))
        self.assertLess(self.shown()[0].separation(north).arcsec, 0.1)
        # Past 0 h and along the edge, as far as there is a map.
        for _ in range(40):
            if self.browser.run("return ![...document.querySelectorAll('.steps a')].some(a => a.textContent == '← east')"):
                break
            go("← east")
        self.assertLess(self.shown()[0].ra.deg, 10)
        # A source in view leads to its page, and its name back to its place.
        self.visit(self.page(self.zero, ra=f"{middle.ra.deg:.6f}", dec=f"{middle.dec.deg:.6f}", size="10'"))
        name = self.browser.run("return document.querySelector('[aria-labelledby=sources] tbody a').textContent")
        self.browser.run(f"document.querySelector('input[name=q]').value = '{name}'; document.querySelector('form.filter').submit(); return 1")
        wait_for(lambda: "ra=" in self.browser.run("return location.search"))
        self.assertLess(self.shown()[0].separation(middle).arcsec, 10)
        self.browser.run("document.querySelector('[aria-labelledby=sources] tbody a').click(); return 1")
        wait_for(lambda: self.browser.run("return location.pathname").startswith("/sources/"))

    def test_what_is_downloaded_is_the_image_there(self):
        for name in (self.zero, self.high):
            wcs = self.wcs[name]
            with fits.open(self.site.scratch / f"images/mosaics/{name}.image.fits") as hdus:
                whole = hdus[0].data
            for x, y in ((750, 550), (20, 30)):
                at = wcs.pixel_to_world(x, y)
                self.visit(self.page(name, ra=f"{at.ra.deg:.7f}", dec=f"{at.dec.deg:.7f}", size="10'"))
                link = self.browser.run("return document.querySelector('a[download]').getAttribute('href')")
                with fits.open(io.BytesIO(self.answer(link))) as part:
                    here, data = WCS(part[0].header), part[0].data
                px, py = here.world_to_pixel(at)
                dx, dy = round(x - float(px)), round(y - float(py))
                corners = np.array([[0, 0], [data.shape[1] - 1, 0], [0, data.shape[0] - 1], [50, 50]], float)
                there = np.array(wcs.world_to_pixel(here.pixel_to_world(corners[:, 0], corners[:, 1]))).T
                np.testing.assert_allclose(there, corners + [dx, dy], atol=1e-4)
                np.testing.assert_array_equal(data, whole[dy:dy + data.shape[0], dx:dx + data.shape[1]])
            report = json.loads(self.answer("/api/v1/maps/" + urllib.parse.quote(name)))
            self.assertAlmostEqual(report["values"]["image"], self.places[0][2], delta=5 * NOISE)
            self.assertAlmostEqual(report["noise_jy"], NOISE, delta=1e-6)
            self.assertEqual(report["sources"][0]["id"] > 0, True)

    def test_what_means_harm_is_a_sentence(self):
        for query in ({"ra": HOSTILE, "dec": "1"}, {"q": HOSTILE}, {"kind": HOSTILE}, {"size": HOSTILE}, {"side": HOSTILE, "click": HOSTILE},
                      {"size": "1e300"}, {"ra": "nan", "dec": "nan"}, {"ra": "10", "dec": "16"}, {"size": "400"}):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.answer(self.page(self.zero, **query))
            self.assertEqual(refused.exception.code, 400, query)
            text = self.visit(self.page(self.zero, **query))
            self.assertIn("expected", text)
            self.assertEqual(self.browser.run("return document.querySelectorAll('.problem').length"), 1)
            self.assertNotEqual("owned", self.browser.run("return document.title"))
        self.browser.screenshot("map-refused")
        self.assertIn("No FITS image of", self.visit(self.page(HOSTILE.replace("/", ""))))
        self.assertNotEqual("owned", self.browser.run("return document.title"))


if __name__ == "__main__":
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        print(f"needs {' and '.join(missing)}: skipped")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
