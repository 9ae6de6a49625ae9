#!/usr/bin/python3
"""The daemon's pages of mosaics in a real browser: the list by strip, one mosaic with its tiles, figures, window and files, a
group's way to its mosaics, on a phone, with names that mean harm; every command that they show, run.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/web_mosaics_test.py [-v]

With CONTIMG_WEB_PICTURES=DIR screenshots of every page are left in DIR for a look.
"""
import json
import shlex
import shutil
import subprocess
import sys
import time
import unittest
import urllib.parse

from daemon_under_test import BIN, wait_for
from web_test import HOSTILE, SKIPPED, Browser, Site, mjd, png, stamp

TILE_S, DAY_S = 309.24, 86164.0905
QUALITY = {"quality": {"grade": "B", "reasons": ["fluxes: 0.12, limit 0.1"], "rms_median_jy": 3.1e-4, "rms_least_jy": 2.8e-4, "covered_deg2": 41.3,
                       "tiles_deep": 2.4, "differences": 0.91, "seams": 1.04,
                       "gates": [{"name": "flux_error", "title": "fluxes", "value": 0.12, "limit": 0.1, "passed": False,
                                  "bound": "at_most", "grade": "B"}],
                       "rms_over_thermal": 1.17,
                       "catalogue": {"expected": 416, "matched": 413, "completeness": 0.9928, "completeness_error": 0.0047,
                                     "sources": 266, "flux_ratio_median": 0.993, "flux_ratio_scatter": 0.02,
                                     "offset_east_arcsec": 0.1, "offset_north_arcsec": -0.1}},
           "beam": {"major_arcsec": 34.4, "minor_arcsec": 16.4, "angle_deg": 12}, "frequency_hz": 1.406e9}


class MosaicPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.end)
        cls.site.start()
        cls.site.make_databases()
        cls.begin = time.time() - 60 * DAY_S
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        text = cls.text_of("/mosaics")
        assert "No mosaic has been made yet." in text and "mosaic.enabled" in text, text
        cls.browser.screenshot("mosaics-none")
        cls.picture = png(900, 900, lambda x, y: (x * y >> 11) & 127)
        cls.names = [cls.add_mosaic(day, strip) for day in range(30) for strip in (16.1, 54.0)]
        cls.deep = cls.add_mosaic(29, 16.1, "deep", is_reference=1)
        cls.failed = cls.add_mosaic(30, 54.0, state="failed", version=0, grade="", why=f"no tile is left: {HOSTILE}")
        cls.spoiled = cls.group(3, 4)
        cls.site.add_group(cls.begin + 3 * DAY_S + 4 * TILE_S, name=cls.spoiled)

    @classmethod
    def group(cls, day, tile):
        return stamp(cls.begin + day * DAY_S + tile * TILE_S)

    @classmethod
    def add_mosaic(cls, day, strip, kind="hourly", **changed):
        start = cls.begin + day * DAY_S + (7 if kind == "deep" else 0)
        name = f"{stamp(start)}_{stamp(start + 3711)}_{strip:+.1f}"
        folder = cls.site.scratch / "images/mosaics"
        folder.mkdir(parents=True, exist_ok=True)
        with cls.site.database("products") as db:
            for product, ending in (("mosaic", "image.fits"), ("mosaic.qa_picture", "qa.png"), ("tiles", "tiles.fits")):
                path = folder / f"{name}.{ending}"
                path.write_bytes(cls.picture if ending == "qa.png" else b"x")
                db.execute("INSERT INTO products (kind, path, group_id, start_mjd, end_mjd, ra_deg, dec_deg, size_bytes, checksum, qa_json, "
                           "qa_grade, status, archive_path, created_at, updated_at) VALUES (?,?,?,?,?,106.4,?,?,'c0ffee5eed00d1ce',?,'B',"
                           "'present','',?,?)", (product, str(path), name, mjd(start), mjd(start + 3711), strip, path.stat().st_size,
                                                 "{}" if product == "tiles" else json.dumps(QUALITY), start, start))
            row = dict(name=name, kind=kind, strip_deg=strip, lst_start_h=23.5, lst_end_h=0.53, start_mjd=mjd(start), end_mjd=mjd(start + 3711),
                       version=1, state="closed", why="", grade="B", n_used=11, n_refused=1, settings_hash="", is_reference=0,
                       image_id=None, updated_at=start + 4000) | changed
            at = db.execute(f"INSERT INTO mosaics ({','.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values())).lastrowid
            for tile in range(12 if row["version"] else 0):
                bad = tile == 4 and strip == 16.1
                db.execute("INSERT INTO mosaic_tiles (mosaic_id, group_id, checksum, mjd, used, refusal, why, scale, scale_error, n_references) "
                           "VALUES (?,?,'',?,?,?,?,?,0.002,41)",
                           (at, cls.group(day, tile), mjd(start + tile * TILE_S), not bad, "scale" if bad else "",
                            "its fluxes are 0.69 of the others'" if bad else "", 0.69 if bad else 0.998))
        return name

    @classmethod
    def text_of(cls, path):
        cls.browser.open(cls.site.url(path))
        return cls.browser.text()

    @staticmethod
    def page(name):
        return "/mosaics/" + urllib.parse.quote(name)

    def check(self, name, width=1400):
        """Nothing in the console, nothing from elsewhere, nothing beyond the screen; every picture arrives."""
        self.browser.run("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; }); return 1")
        wait_for(lambda: self.browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)"), 30,
                 what="the pictures are there")
        self.assertEqual([e for e in self.browser.log() if e["level"] in ("SEVERE", "WARNING")], [])
        self.assertEqual([u for u in self.browser.requests()
                          if not u.startswith((self.site.url("/"), "data:", "chrome:", "about:"))], [])
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), width)
        self.assertNotEqual("owned", self.browser.run("return document.title"))
        self.browser.screenshot(f"{name}-{width}")

    def test_pages_at_every_width(self):
        for width in (1400, 1280, 390):
            self.browser.resize(width, 1000)
            self.browser.log()
            self.browser.requests()
            text = self.text_of("/mosaics")
            for words in (self.names[-1], "reference", "failed", "no tile is left", "310 µJy", "41.3", "+54.0°", "23:30–00:32"):
                self.assertIn(words, text)
            self.assertEqual(self.browser.run("return document.querySelectorAll('tbody tr').length"), 50)
            self.check("mosaics", width)
            text = self.text_of(self.page(self.deep))
            for words in ("reference", "11 tiles in it, 1 left out", "its fluxes are 0.69 of the others'", "310 µJy/beam", "41.3 deg²",
                          "34.4″ × 16.4″ at 12°", "266 sources", "0.993 ± 0.005, 413 of 416 sources above 10 σ", "1.17 × thermal", "The same window",
                          "missed: B", "contimg products reproduce"):
                self.assertIn(words, text)
            self.assertEqual(self.browser.run("return document.querySelector('[aria-labelledby=tiles] tbody td').textContent"),
                             self.group(29, 4))  # what was left out comes first
            self.check("mosaic", width)
            text = self.text_of("/groups/" + self.spoiled)
            self.assertIn("left out", text)
            self.check("group-of-a-mosaic", width)

    def test_the_ways_through_them(self):
        self.browser.resize(1400, 1000)
        self.text_of("/mosaics")
        click = "[...document.querySelectorAll('a')].find(a => a.textContent == '{}').click(); return 1"
        self.browser.run(click.format("+16.1°"))
        wait_for(lambda: "strip=16.1" in self.browser.run("return location.search"))
        self.assertNotIn("_+54.0", self.browser.text())
        self.text_of("/mosaics")
        self.browser.run(click.format("older"))
        wait_for(lambda: "after=" in self.browser.run("return location.search"))
        self.assertEqual(self.browser.run("return document.querySelectorAll('tbody tr').length"), 12)
        self.text_of("/groups/" + self.spoiled)
        self.browser.run("document.querySelector('[aria-labelledby=mosaics] tbody a').click(); return 1")
        wait_for(lambda: self.browser.run("return location.pathname").startswith("/mosaics/"))
        self.assertIn(self.spoiled, self.browser.text())
        self.assertIn("No such mosaic", self.text_of(self.page(HOSTILE)))
        self.assertNotEqual("owned", self.browser.run("return document.title"))

    def test_the_commands_shown_are_commands(self):
        for name in (self.deep, self.failed, self.names[0]):
            self.text_of(self.page(name))
            for command in self.browser.run("return [...document.querySelectorAll('.command code')].map(c => c.textContent)"):
                words = shlex.split(command)
                self.assertEqual(words[0], "contimg")
                ran = subprocess.run([BIN / words[0], *words[1:]], env=self.site.environment, capture_output=True, text=True)
                # There is no such task and no job here; what is refused as wrong use says so with the usage.
                self.assertNotIn("--help", ran.stderr, command)
                self.assertIn(ran.returncode, (0, 1, 2, 3), command)


if __name__ == "__main__":
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        print(f"needs {' and '.join(missing)}: skipped")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
