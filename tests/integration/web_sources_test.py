#!/usr/bin/python3
"""The daemon's pages of sources in a real browser: lists and search, light curves, cut-outs, the sources of a tile on its
sky; on a phone, in the dark, without scripts, with input that means harm; and the same over plain HTTP.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/web_sources_test.py [-v]

With CONTIMG_WEB_PICTURES=DIR screenshots of every page are left in DIR for a look.
"""
import csv
import json
import math
import shutil
import struct
import sys
import time
import unittest
import urllib.parse

from daemon_under_test import wait_for
from web_test import SKIPPED, Browser, Site, mjd, png, stamp

COLUMNS = ("source_id,name,ra_deg,dec_deg,mjd,product,flux_jy,flux_error_jy,sigma_jy,response,scale,frequency_hz,"
           "flags").split(",")
SIDEREAL_DAY = 86164.0905
PLACES = [(0.3667, 16.2011, 0.02), (359.95, 15.9, 0.5), (0.1, 16.0, 0.03), (0.5, 15.8, 0.004), (0.3667, 16.2111, 0.006)]
BLEND, BAD_TILE = 2, 16
HOSTILE = ("q=%22%3E%3Cscript%3Edocument.title='owned'%3C/script%3E", "q=%27%20OR%201=1;--", "q=%00", "q=1e999+1e999", "q=nan+nan")


def fits_image(path, ra_deg, dec_deg, sources, n=400, cell_arcsec=15):
    """A SIN image with Gaussians of 60 arcsec."""
    pixels = [[0.0] * n for _ in range(n)]
    for ra, dec, flux in sources:
        dra = math.radians((ra - ra_deg + 180) % 360 - 180)
        l = math.cos(math.radians(dec)) * math.sin(dra)
        m = (math.sin(math.radians(dec)) * math.cos(math.radians(dec_deg)) -
             math.cos(math.radians(dec)) * math.sin(math.radians(dec_deg)) * math.cos(dra))
        x, y = n // 2 - math.degrees(l) * 3600 / cell_arcsec, n // 2 + math.degrees(m) * 3600 / cell_arcsec
        for j in range(max(0, int(y) - 12), min(n, int(y) + 13)):
            for i in range(max(0, int(x) - 12), min(n, int(x) + 13)):
                pixels[j][i] += flux * 2 ** (-((i - x) ** 2 + (j - y) ** 2) / 4)
    cards = [("SIMPLE", "T"), ("BITPIX", "-32"), ("NAXIS", "2"), ("NAXIS1", str(n)), ("NAXIS2", str(n)),
             ("CTYPE1", "'RA---SIN'"), ("CRPIX1", str(n // 2 + 1)), ("CRVAL1", str(ra_deg)), ("CDELT1", repr(-cell_arcsec / 3600)),
             ("CTYPE2", "'DEC--SIN'"), ("CRPIX2", str(n // 2 + 1)), ("CRVAL2", str(dec_deg)), ("CDELT2", repr(cell_arcsec / 3600)),
             ("BUNIT", "'Jy/beam '"), ("BMAJ", repr(60 / 3600)), ("BMIN", repr(60 / 3600)), ("BPA", "0.0")]
    header = "".join(f"{key:<8}= {value:>20}".ljust(80) for key, value in cards) + "END".ljust(80)
    data = b"".join(struct.pack(f">{n}f", *row) for row in pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.ljust(-(-len(header) // 2880) * 2880).encode() + data.ljust(-(-len(data) // 2880) * 2880, b"\0"))


class SourcePages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.end)
        cls.site.start()
        cls.fill()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def fill(cls):
        """Twelve days of two tiles; the first source doubles on one of them, one tile is bad, the last source is a blend."""
        rows, cls.groups = [], []
        begin = time.time() - 13 * SIDEREAL_DAY
        for day in range(12):
            for tile in range(2):
                at = begin + day * SIDEREAL_DAY + tile * 309
                group = stamp(at)
                cls.groups.append(group)
                for number, (ra, dec, flux) in enumerate(PLACES):
                    flux *= 2 if number == 0 and day == 8 else 1 + 0.01 * math.sin(7 * day + number)
                    flags = (BLEND if number == 4 else 0) | (BAD_TILE if day == 3 else 0)
                    rows.append(dict(zip(COLUMNS, (number + 1, f"s{number}", ra, dec, f"{mjd(at + 155):.9f}", group, flux,
                                                   0.0005, 0.0004, 0.7, 1, 1.4e9, flags))))
        table = cls.site.root / "photometry.csv"
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        cls.site.answer("lightcurve", "record", table)
        cls.site.make_databases()
        for group in cls.groups[-8:]:
            at = begin + cls.groups.index(group) // 2 * SIDEREAL_DAY + cls.groups.index(group) % 2 * 309
            cls.site.add_group(at)
            cls.site.add_image(at, group, picture=png(1800, 1500, lambda x, y: (x * y >> 11) & 127))
            image = cls.site.scratch / f"images/single/{group}.image.pbcor.fits"
            fits_image(image, 0.2, 16.0, PLACES)

    def setUp(self):
        self.browser.resize(1400, 1000)
        self.browser.log()
        self.browser.requests()

    def visit(self, path, browser=None):
        browser = browser or self.browser
        browser.open(self.site.url(path))
        return browser.text()

    def check_clean(self, browser=None):
        browser = browser or self.browser
        self.assertEqual([e for e in browser.log() if e["level"] in ("SEVERE", "WARNING")], [])
        urls = browser.requests()
        self.assertEqual([u for u in urls if not u.startswith((self.site.url("/"), "data:", "chrome:", "about:"))], [])

    def pictures_arrive(self, browser=None):
        browser = browser or self.browser
        browser.run("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; }); return 1")
        wait_for(lambda: browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)"), 30,
                 what="the pictures are there")

    def variable(self):
        return json.loads(self.site.fetch("/api/v1/variables?limit=1")[2])["variables"][0]

    def test_list_search_and_source_page(self):
        text = self.visit("/sources?sort=eta&min_n=2")
        self.assertIn("DSA J000128.0+161203", text.splitlines()[0] + text)
        self.assertEqual(self.browser.run("return document.querySelector('tbody .id').textContent"), "DSA J000128.0+161203")
        self.browser.screenshot("sources-light-wide")
        self.check_clean()
        # As a person searches: typed and sent.
        self.visit("/sources")
        self.browser.run("document.querySelector('[name=q]').value = '00:01:28 +16:12:04'; document.querySelector('.filter').submit(); "
                         "return 1")
        wait_for(lambda: "distance" in self.browser.text())
        self.assertEqual(self.browser.run("return document.querySelectorAll('tbody tr').length"), 2)
        self.visit("/sources?q=j000128.0%2B161203")
        self.assertEqual(self.browser.run("return location.pathname"), f"/sources/{self.variable()['source_id']}")
        text = self.browser.text()
        for words in ("DSA J000128.0+161203", "Light curve", "Over time", "Statistics", "Neighbours", "36.0″", "In catalogues", "Points",
                      "bad tile", self.groups[-1]):
            self.assertIn(words, text)
        self.pictures_arrive()
        self.assertEqual(self.browser.run("return document.querySelectorAll('.cutouts img').length"), 8)
        self.assertEqual(self.browser.run("return document.querySelector('.plot img').naturalWidth"), 1000)
        self.browser.screenshot("source-light-wide")
        self.browser.run("[...document.querySelectorAll('.choices a')].find(a => a.textContent == 'transits').click(); return 1")
        wait_for(lambda: "level=transit" in self.browser.run("return location.search"))
        self.pictures_arrive()
        self.assertEqual(self.browser.run("return document.querySelectorAll('[aria-labelledby=points] tbody tr').length"), 11)
        self.check_clean()

    def test_the_sources_of_a_tile_lead_to_their_pages(self):
        text = self.visit("/groups/" + self.groups[-1])
        self.assertIn("5 measured", text)
        marks = self.browser.run("return [...document.querySelectorAll('.sky a')].map(a => [a.getAttribute('href'), "
                                 "+a.querySelector('circle').getAttribute('cx'), +a.querySelector('circle').getAttribute('cy')])")
        self.assertEqual(len(marks), 5)
        at = {address: (x, y) for address, x, y in marks}
        # East is to the left, north up: of the image about 0.2, 16.0, 400 pixels of 15 arcsec.
        x, y = at[f"/sources/{self.variable()['source_id']}"]
        self.assertAlmostEqual(x, (200.5 - 0.1667 * math.cos(math.radians(16.2)) * 240) / 400 * 1000, delta=0.5)
        self.assertAlmostEqual(y, (199.5 - 0.2011 * 240) / 400 * 1000, delta=0.5)
        self.browser.screenshot("group-sources-light-wide")
        self.browser.run("document.querySelector('.sky circle').dispatchEvent(new MouseEvent('click', {bubbles: true})); return 1")
        wait_for(lambda: self.browser.run("return location.pathname").startswith("/sources/"))
        self.check_clean()

    def test_phone_dark_and_without_scripts(self):
        dark, plain = Browser(scheme="dark"), Browser(scripts=False)
        self.addCleanup(dark.close)
        self.addCleanup(plain.close)
        source = f"/sources/{self.variable()['source_id']}"
        for scheme, browser in (("light", self.browser), ("dark", dark)):
            for name, size in (("phone", (390, 844)), ("laptop", (1280, 800))):
                browser.resize(*size)
                for page, path in (("sources", "/sources?sort=eta"), ("source", source), ("group-sources", "/groups/" + self.groups[-1])):
                    self.visit(path, browser)
                    self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), size[0], (page, name))
                    self.pictures_arrive(browser)
                    browser.screenshot(f"{page}-{scheme}-{name}")
        self.browser.resize(390, 844)
        self.visit(source)
        self.pictures_arrive()
        self.assertEqual(self.browser.run("return document.querySelector('.plot img').naturalWidth"), 400)
        self.assertIn("Statistics", self.visit(source, plain))
        self.assertIn("most variable", self.visit("/sources", plain))
        self.check_clean(plain)

    def test_hostile_input_is_shown_and_does_nothing(self):
        for query in HOSTILE:
            self.assertIn("No source fits.", self.visit("/sources?" + query), query)
            self.assertEqual(self.browser.run("return document.title"), "Sources · contimg")
        for path, status in (("/sources?eta=nan", 400), ("/sources?at=0,91", 400), ("/sources?radius_deg=1e308&q=0+0", 400),
                             ("/sources/%22%3E%3Cscript%3E", 404), ("/sources/99999999999999999999", 404), ("/sources/1?level=%00", 400),
                             ("/lightcurves/1.svg?quality=%3Cb%3E", 400), ("/lightcurves/..%2f1.svg", 404),
                             ("/cutouts/1/..%2f..%2fx.png", 404), ("/api/v1/sources?at=361,0", 400),
                             ("/api/v1/sources?limit=1000000000000", 400), ("/api/v1/lightcurves/1?format=exe", 400),
                             ("/api/v1/sources?at=" + urllib.parse.quote("1" * 5000), 400)):
            answer = self.site.fetch(path)
            self.assertEqual(answer[0], status, path)
            self.assertNotIn(b"<script>", answer[2].replace(b"<script src=", b""), path)

    def test_http_forms_and_caching(self):
        source = self.variable()["source_id"]
        points = json.loads(self.site.fetch(f"/api/v1/lightcurves/{source}")[2])["points"]
        self.assertEqual(len(points), 22)  # without the bad tiles
        text = self.site.fetch(f"/api/v1/lightcurves/{source}?format=csv")[2].decode()
        self.assertEqual([row["product"] for row in csv.DictReader(text.splitlines())], [p["product"] for p in points])
        picture = f"/cutouts/{source}/{self.groups[-1]}.png"
        status, headers, body = self.site.fetch(picture)
        self.assertEqual((status, headers["Content-Type"], body[:4]), (200, "image/png", b"\x89PNG"))
        self.assertEqual(self.site.fetch(picture, headers={"If-None-Match": headers["ETag"]})[0], 304)
        self.assertEqual(self.site.fetch(f"/cutouts/{source}/{self.groups[0]}.png")[0], 404)
        self.assertEqual(self.site.fetch("/sources", "POST")[0], 405)
        try:
            import io
            from astropy.table import Table
        except ImportError:
            return
        for form, reader in (("votable", "votable"), ("fits", "fits")):
            table = Table.read(io.BytesIO(self.site.fetch(f"/api/v1/lightcurves/{source}?format={form}")[2]), format=reader)
            self.assertEqual([round(float(f), 9) for f in table["flux_jy"]], [round(p["flux_jy"], 9) for p in points])
        table = Table.read(io.BytesIO(self.site.fetch("/api/v1/sources?format=votable")[2]), format="votable")
        self.assertEqual(len(table), len(PLACES))


if __name__ == "__main__":
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        print(f"needs {' and '.join(missing)}: skipped")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
