#!/usr/bin/python3
"""The daemon's pages in a real browser (headless Chromium): what they show, that nothing else is fetched, that they work
without scripts, in light and dark, on a phone and on a wall screen.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/web_test.py [-v] [WebTest.test_name…]

With CONTIMG_WEB_PICTURES=DIR screenshots of every page are left in DIR for a look.
"""
import base64
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import zlib

from daemon_under_test import BIN, DaemonUnderTest, free_port, wait_for

PICTURES = os.environ.get("CONTIMG_WEB_PICTURES")
HOSTILE = "x\"><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'; rm -rf $HOME #?&/..%2F"
SKIPPED = 77
DAY = 86400.0


def mjd(unix_s):
    return unix_s / DAY + 40587


def stamp(unix_s):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))


def png(width, height, shade):
    """A small picture; `shade(x, y)` gives 0…255."""
    rows = b"".join(b"\0" + bytes(c for x in range(width) for c in (shade(x, y), 0, 60)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Browser:
    """Chromium behind chromedriver, over the WebDriver protocol."""

    def __init__(self, scripts=True, scheme="light", size=(1400, 1000)):
        self.port = free_port()
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        wait_for(lambda: self._ready(), 30)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--no-first-run", "--disable-background-networking", "--disable-component-update",
                     f"--window-size={size[0]},{size[1]}"]
        if not scripts:
            arguments.append("--blink-settings=scriptEnabled=false")
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})
        self.session = "/session/" + answer["sessionId"]
        self.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.resize(*size)

    def _ready(self):
        try:
            return self._call("GET", "/status")["ready"]
        except (OSError, urllib.error.URLError):
            return False

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:2000]}") from error

    def cdp(self, command, parameters=None):
        return self._call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters or {}})

    def resize(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
                                                        "mobile": width < 600})

    def open(self, url):
        self._call("POST", self.session + "/url", {"url": url})

    def run(self, script):
        """The value of a script's return statement (through the debugger: works with the page's scripts off, too)."""
        answer = self.cdp("Runtime.evaluate", {"expression": f"(() => {{ {script} }})()", "returnByValue": True})
        return answer["result"].get("value")

    def text(self):
        """Of the page once it is whole: one that is being put up has no text for a moment, or the first part of it."""
        return wait_for(lambda: self.run("return document.readyState === 'complete' && document.body.innerText"), 20,
                        what="the page has a text")

    def log(self, kind="browser"):
        return self._call("POST", self.session + "/se/log", {"type": kind})

    def requests(self):
        """Addresses asked for since the last call."""
        urls = []
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(message["params"]["request"]["url"])
        return urls

    def screenshot(self, name, whole=True):
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        answer = self.cdp("Page.captureScreenshot", {
            "format": "png", "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}} if whole else {})
        if PICTURES:
            pathlib.Path(PICTURES).mkdir(parents=True, exist_ok=True)
            (pathlib.Path(PICTURES) / f"{name}.png").write_bytes(base64.b64decode(answer["data"]))
        return base64.b64decode(answer["data"])

    def close(self):
        try:
            self._call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(20)


class Site(DaemonUnderTest):
    """A daemon on its own directories, whose databases the test fills."""

    def __init__(self):
        self.begin("web", CONTIMG_CALIBRATE_WAIT_LIMIT_H="0")
        self.scratch = self.root / "scratch"
        (self.scratch / "images/qa").mkdir(parents=True)

    def start(self):
        super().start()
        wait_for(lambda: self.get("/readyz")[0] == 200, 30)

    def database(self, name):
        return sqlite3.connect(self.root / f"state/{name}.sqlite3", timeout=20)

    # --- contents --------------------------------------------------------------------------------------------------
    def add_group(self, at, state="done", error_kind=None, error="", present=16, took=19.5, name=None, stage=""):
        name = name or stamp(at)
        with self.database("ingest") as db:
            db.execute("INSERT INTO groups VALUES (?,?,0,1,?,?,?,?,16,?,?,?,?,?,?,?,'local','7','',0,?,0,?)",
                       (name, state, time.time() + 9e5, error_kind, error, present, mjd(at), mjd(at + 309), at + 312, at + 312,
                        at + 340, at + 315, at + 315 + took, stage,
                        json.dumps({"convert": 4.1, "flag": 2.3, "apply": 0.5, "image": 9.4, "quality": 0.8})))
            # Their files lie where the daemon does not look for new ones.
            stored = self.scratch / "stored"
            stored.mkdir(exist_ok=True)
            for subband in range(present):
                if state in ("dead", "failed"):
                    path = stored / f"{name}_sb{subband:02d}.hdf5"
                    if "/" not in name:
                        path.touch()
                db.execute("INSERT INTO subband_files VALUES (?,?,?,141000000,?,'',?,?)",
                           (name, subband, f"{stored}/{name}_sb{subband:02d}.hdf5", at + 310, "present", at + 311))
            for to, begin, actor, detail in (("collecting", "", "watcher", "new group"), ("ready", "collecting", "watcher", "all subbands"),
                                             ("running", "ready", "contimg-stream host 7", "attempt 1"),
                                             (state, "running", "runner", error or "attempt 1")):
                db.execute("INSERT INTO events (at, group_id, kind, from_state, to_state, actor, detail) VALUES (?,?,'state',?,?,?,?)",
                           (at + 312, name, begin, to, actor, detail))
        return name

    def add_image(self, at, group, grade="A", picture=b"", rms=4.1e-4):
        day = self.scratch / "images/qa" / stamp(at)[:10]
        day.mkdir(parents=True, exist_ok=True)
        path = day / f"{group}.qa.png"
        if picture:
            path.write_bytes(picture)
        metrics = {"quality": {"grade": grade, "rms_jy": rms, "thermal_rms_jy": 3.8e-4, "rms_over_thermal": rms / 3.8e-4,
                               "peak_jy": 1.87, "dynamic_range": 1.87 / rms, "flagged_fraction": 0.114, "negative_ratio": 0.004,
                               "gates": [{"name": "rms over thermal", "value": rms / 3.8e-4, "limit": 20, "passed": True},
                                         {"name": "flux ratio", "value": 1.19 if grade != "A" else 0.998, "limit": 0.15,
                                          "passed": grade == "A"}],
                               "catalogue": {"expected": 41, "matched": 39, "flux_ratio_median": 0.998,
                                             "offset_median_arcsec": 0.31}},
                   "beam": {"major_arcsec": 12.4, "minor_arcsec": 10.1, "angle_deg": 34.2},
                   "clean": {"stop": "threshold", "iterations": 6120, "threshold_jy": 4.2e-4,
                             "cycles": [{"cycle": i + 1, "iterations": 1500 * (i + 1), "peak_jy": 0.9 / 4 ** i} for i in range(5)]}}
        with self.database("products") as db:
            def save(kind, where, size=92_160_000, qa="{}", qa_grade=""):
                return db.execute(
                    "INSERT INTO products (kind, path, group_id, start_mjd, end_mjd, ra_deg, dec_deg, size_bytes, checksum, qa_json, "
                    "qa_grade, status, archive_path, job_id, created_at, updated_at) VALUES (?,?,?,?,?,106.4,16.1,?,?,?,?,'present','',?,?,?)",
                    (kind, str(where), group, mjd(at), mjd(at + 309), size, "c0ffee5eed00d1ce", qa, qa_grade, job, at + 340, at + 340)).lastrowid

            def link(child, *parents):
                db.executemany("INSERT INTO lineage VALUES (?, ?)", [(child, p) for p in parents])
            job = db.execute(
                "INSERT INTO jobs (group_id, kind, settings_hash, settings_json, program_version, host, command, started_at, finished_at, "
                "outcome, error, peak_memory_bytes, timings_json, report_json) VALUES (?,'group','5c1d09ab','{\"image\": {\"robust\": 0.5}}','0.1.0',"
                "'h17',?,?,?,'done','',5234000000,'{}','{\"stages\": [{\"name\": \"convert\", \"seconds\": 4.1, \"figures\": {\"rows\": 1788288}}]}')",
                (group, f"contimg worker {self.root}/state/jobs/job.json", at + 315, at + 334)).lastrowid
            raw = [save("uvh5", self.scratch / f"incoming/{group}_sb{i:02d}.hdf5", 141_000_000) for i in range(16)]
            ms = save("science_ms", self.scratch / f"ms/science/{group}.ms", 4_400_000_000)
            tables = [save("caltable", self.scratch / f"ms/calibrators/{group}_24h.{k}", 2_000_000) for k in ("kcal", "bpcal", "gpcal")]
            link(ms, *raw, *tables)
            for kind in ("image.pbcor", "image", "residual", "model", "psf", "pb", "smear"):
                image = save(kind, self.scratch / f"images/single/{group}.{kind}.fits")
                link(image, ms)
            link(save("qa_picture", path, len(picture), "{}", grade), image)
            link(save("qa_metrics", day / f"{group}.metrics.json", 4200, json.dumps(metrics), grade), image)
        with self.database("cal_registry") as db:
            newest = db.execute("SELECT id, kind FROM tables WHERE status = 'active' GROUP BY kind").fetchall()
            db.executemany("INSERT OR REPLACE INTO choices VALUES (?,?,?,?,?)",
                           [(group, kind, table, "covers the time; the latest of those that do", at + 315) for table, kind in newest])

    def add_table(self, kind, interval, start, hours, status="active", reason="", model="calibrator:3C286"):
        with self.database("cal_registry") as db:
            db.execute("INSERT INTO tables (path, kind, interval, valid_from_mjd, valid_to_mjd, source_group, model, refant, status, reason, "
                       "quality_json, flag_fractions_json, checksum, registered_at, updated_at) VALUES (?,?,?,?,?,?,?,'103',?,?,'{}','{}','',?,?)",
                       (f"/cal/{kind}{interval}{start}{status}", kind, interval, mjd(start), mjd(start + 3600 * hours), stamp(start), model,
                        status, reason, start, start))

    def make_databases(self):
        """The one that the daemon does not open itself."""
        self.answer("cal", "list")

    def fill(self, picture):
        """A day of observing with its failures."""
        now = time.time()
        self.make_databases()
        start = now - 26 * 3600
        self.add_table("K", "24h", start, 24)
        self.add_table("BP", "24h", start, 24)
        self.add_table("G", "24h", start, 24)
        for kind in ("K", "BP", "G"):
            self.add_table(kind, "24h", start + 23.4 * 3600, 24)
        for hour in range(26):
            self.add_table("G", "1h", start + hour * 3200 + 1000, 1, *((["failed", "median SNR 4.1 below 10", "field"]) if hour == 11 else
                                                                      ["retired" if hour < 9 else "active", "", "field"]))
        n = int(25.5 * 3600 / 309)
        for i in range(n):
            at = now - 400 - 309 * (n - i)
            if i in (40, 41):
                continue  # the telescope stood still
            if i == n - 1:
                self.add_group(at, "collecting", present=9)
            elif i == 60:
                self.add_group(at, "dead", "bad_input", f"{stamp(at)}_sb03.hdf5: expected 24 integrations in visdata, found 23")
            elif i == 61:
                self.add_group(at, "failed", "io", f"{self.scratch}/ms/science/{stamp(at)}.ms: cannot write: No space left on device")
            elif i == 150:
                self.add_group(at, "held", None, "sb07 arrived twice with different content")
            elif i == 7:
                self.add_group(at, "awaiting_calibration")
            elif i == 200:
                self.add_group(at, "dead", "incomplete", "3 of 16 subbands at the deadline", present=3)
            else:
                self.add_group(at, took=17 + (i * 7919 % 50) / 10)
            if i > n - 14 and i != n - 1:
                self.add_image(at, stamp(at), "ABA"[i % 3], picture, 3.9e-4 + i % 5 * 2e-5)
        return stamp(now - 400 - 309 * 2)  # a tile with everything


class WebTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.end)
        cls.site.start()
        real = os.environ.get("CONTIMG_WEB_QUICKLOOK")
        cls.picture = pathlib.Path(real).read_bytes() if real else png(1800, 1240, lambda x, y: (x * y >> 11) & 255)
        cls.group = cls.site.fill(cls.picture)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.browser.resize(1400, 1000)
        self.browser.log()
        self.browser.requests()

    def visit(self, path, browser=None):
        browser = browser or self.browser
        browser.open(self.site.url(path))
        return browser.text()

    def check_clean(self, browser=None):
        """No message in the console, no request to anywhere else."""
        browser = browser or self.browser
        self.assertEqual([e for e in browser.log() if e["level"] in ("SEVERE", "WARNING")], [])
        urls = browser.requests()
        self.assertTrue(urls)
        self.assertEqual([u for u in urls if not u.startswith((self.site.url("/"), "data:", "chrome:", "about:"))], [])

    # --- what it shows -----------------------------------------------------------------------------------------------
    def test_status_page_shows_health_groups_images_calibration_disks_and_failures(self):
        text = self.visit("/")
        for words in ("Needs a hand", "2 groups given up", "Latest images", "Calibration", "bandpass B", "min left", "scratch", "free of",
                      "expected 24 integrations in visdata, found 23", "median of", self.group):
            self.assertIn(words, text)
        dead = self.browser.run("return [...document.querySelectorAll('.failures code')].map(c => c.textContent)")
        self.assertTrue(any(c.startswith("contimg queue show ") for c in dead), dead)  # damaged input: its record first
        self.assertFalse(any("requeue --state" in c for c in dead), dead)  # the dead have causes of their own
        self.assertTrue(any(c.startswith("contimg queue release ") for c in dead), dead)
        bars = self.browser.run("return document.querySelectorAll('.bar.done').length")
        self.assertGreater(bars, 200)
        self.assertEqual(self.browser.run("return document.title"), "Needs a look · contimg")
        wait_for(lambda: self.browser.run("return document.querySelectorAll('.card img').length > 0 && "
                                          "[...document.querySelectorAll('.card img')].slice(0, 2).every(i => i.naturalWidth == 400)"))
        self.browser.screenshot("status-light-wide")
        self.check_clean()

    def test_the_commands_shown_do_what_they_say(self):
        self.visit("/")
        commands = self.browser.run("return [...document.querySelectorAll('.failures li code')].map(c => c.textContent)")
        requeue = [c for c in commands if "requeue" in c][0]
        group = requeue.split()[-1]
        self.assertEqual(json.loads(self.site.fetch(f"/api/v1/groups/{group}")[2])["state"] in ("dead", "failed"), True)
        words = requeue.split()
        subprocess.run([BIN / words[0], *words[1:]], env=self.site.environment, check=True, stdout=subprocess.DEVNULL)
        self.assertNotIn(json.loads(self.site.fetch(f"/api/v1/groups/{group}")[2])["state"], ("held",))
        events = json.loads(self.site.fetch(f"/api/v1/groups/{group}")[2])["events"]
        self.assertIn(("operator", "ready"), [(e["actor"], e["to"]) for e in events])

    def test_group_page_shows_every_figure_pictures_lineage_and_events(self):
        text = self.visit("/groups/" + self.group)
        for words in ("done", "times as fast as the sky", "Quality", "rms over thermal", "passed", "Stages", "convert", "4.1 s", "Subbands",
                      "Lineage", "science_ms", "16 uvh5 files", "bpcal", "Products", "c0ffee5eed00d1ce", "Jobs", "5.2 GB", "Events",
                      "running → done", "dynamic range", "12.4″", "covers the time"):
            self.assertIn(words, text)
        self.assertNotIn("6120", text)  # folded, and there
        self.browser.run("document.querySelector('#figures').open = true")
        self.assertIn("6120", self.browser.text())
        wait_for(lambda: self.browser.run("return document.querySelector('.picture img').naturalWidth") == 1800)
        self.browser.screenshot("group-light-wide")
        self.check_clean()

    def test_group_list_filters_and_goes_on(self):
        text = self.visit("/groups?state=dead")
        self.assertIn("incomplete", text)
        self.assertEqual(self.browser.run("return document.querySelectorAll('tbody tr').length") >= 1, True)
        self.visit("/groups")
        self.assertEqual(self.browser.run("return document.querySelectorAll('tbody tr').length"), 100)
        first = self.browser.run("return document.querySelector('tbody .id').textContent")
        self.browser.open(self.browser.run("return document.querySelector('a[rel=next]').href"))
        self.assertLess(self.browser.run("return document.querySelector('tbody .id').textContent"), first)
        self.browser.screenshot("groups-light-wide")
        self.check_clean()

    def test_hostile_names_are_shown_and_do_nothing(self):
        name = self.site.add_group(time.time() - 5000, "dead", "io", HOSTILE, name=HOSTILE)
        self.addCleanup(self._forget, name)
        for path in ("/", "/groups", "/groups/" + urllib.parse.quote(name, safe="")):
            text = self.visit(path)
            self.assertIn("<script>document.title='owned'</script>", text)
            self.assertNotEqual(self.browser.run("return document.title"), "owned")
            self.assertEqual(self.browser.run("return document.querySelectorAll('main script, img[src=x]').length"), 0)
        command = self.browser.run("return document.querySelector('.cause code').textContent")
        said = subprocess.run(["bash", "-c", command.replace("contimg queue requeue", "printf %s")], capture_output=True, text=True, check=True)
        self.assertEqual(said.stdout, HOSTILE)
        self.check_clean()

    def _forget(self, name):
        with self.site.database("ingest") as db:
            db.execute("DELETE FROM groups WHERE id = ?", (name,))

    # --- how it behaves ----------------------------------------------------------------------------------------------
    def test_page_renews_itself_and_keeps_what_is_open(self):
        self.visit("/groups/" + self.site.add_group(time.time() - 9000, "held", None, "first cause", name="2020-01-01T00:00:00"))
        self.addCleanup(self._forget, "2020-01-01T00:00:00")
        self.assertEqual(self.browser.run("return document.body.dataset.refreshS"), "10")
        self.browser.run("document.querySelector('#files').open = true; return 1")
        with self.site.database("ingest") as db:
            db.execute("UPDATE groups SET error = 'second cause' WHERE id = '2020-01-01T00:00:00'")
        wait_for(lambda: "second cause" in self.browser.text(), 40, 0.5)
        self.assertTrue(self.browser.run("return document.querySelector('#files').open"))
        self.check_clean()

    def test_essentials_work_without_scripts(self):
        plain = Browser(scripts=False)
        self.addCleanup(plain.close)
        text = self.visit("/", plain)
        for words in ("Needs a hand", "Latest images", "bandpass B", "contimg queue requeue", "scratch"):
            self.assertIn(words, text)
        self.assertEqual(plain.run("return document.querySelectorAll('.copy').length"), 0)  # what the script would add
        self.assertEqual(plain.run("return document.querySelector('noscript meta').httpEquiv"), "refresh")
        self.assertIn("Lineage", self.visit("/groups/" + self.group, plain))
        plain.run("document.querySelector('summary').click(); return 1")
        self.check_clean(plain)

    def test_phone_and_wall_and_dark(self):
        dark = Browser(scheme="dark")
        self.addCleanup(dark.close)
        for scheme, browser in (("light", self.browser), ("dark", dark)):
            for name, size in (("phone", (390, 844)), ("laptop", (1280, 800)), ("wall", (2560, 1440))):
                browser.resize(*size)
                for page, path in (("status", "/"), ("group", "/groups/" + self.group), ("groups", "/groups")):
                    self.visit(path, browser)
                    # Nothing sticks out: the page itself never scrolls sideways.
                    self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), size[0], (page, name))
                    browser.run("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; }); return 1")
                    wait_for(lambda: browser.run("return [...document.images].every(i => i.complete)"))
                    browser.screenshot(f"{page}-{scheme}-{name}")
        paper = self.browser.run("return getComputedStyle(document.body).backgroundColor")
        night = dark.run("return getComputedStyle(document.body).backgroundColor")
        self.assertNotEqual(paper, night)

    def test_text_stands_out_from_its_background(self):
        """Contrast of 4.5 : 1 (WCAG AA) for every text on the status and group page, light and dark."""
        script = """
          const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n.slice(0, 3), 1] : n; };
          const lum = c => { const f = c.slice(0, 3).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
                             return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
          const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
                                if (c[3] > .99) return c; } return [255, 255, 255, 1]; };
          const bad = new Set();
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          for (let n = walker.nextNode(); n; n = walker.nextNode()) {
            const e = n.parentElement;
            if (!n.textContent.trim() || e.closest('svg, script, noscript, style, progress, meter, option') || !e.checkVisibility()) continue;
            const a = lum(parse(getComputedStyle(e).color)), b = lum(behind(e));
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < 4.5) bad.add(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2) + ' ' + n.textContent.trim().slice(0, 30));
          }
          return [...bad];"""
        dark = Browser(scheme="dark")
        self.addCleanup(dark.close)
        for browser in (self.browser, dark):
            for path in ("/", "/groups/" + self.group, "/groups"):
                self.visit(path, browser)
                self.assertEqual(browser.run(script), [], path)

    def test_empty_site_says_what_it_waits_for(self):
        site = Site()
        self.addCleanup(site.end)
        site.start()
        self.browser.open(site.url("/"))
        text = self.browser.text()
        for words in ("All is well", "Waiting for the first files", "contimg simulate", "Nothing failed", "No image yet"):
            self.assertIn(words, text)
        self.browser.screenshot("empty-light-laptop")
        self.assertEqual([e for e in self.browser.log() if e["level"] in ("SEVERE", "WARNING")], [])

    # --- HTTP ----------------------------------------------------------------------------------------------------------
    def test_http_methods_caching_and_paths(self):
        status, headers, body = self.site.fetch("/")
        self.assertEqual((status, headers["Cache-Control"]), (200, "no-store"))
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        head = self.site.fetch("/groups/" + self.group, "HEAD")
        self.assertEqual((head[0], head[2]), (200, b""))
        self.assertGreater(int(head[1]["Content-Length"]), 1000)
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            status, headers, _ = self.site.fetch("/", method)
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        self.assertEqual(self.site.fetch("/nothing")[0], 404)
        self.assertEqual(self.site.fetch("/groups/nothing")[0], 404)
        picture = f"/images/qa/{self.group[:10]}/{self.group}.qa.png"
        status, headers, body = self.site.fetch(picture)
        self.assertEqual((status, headers["Content-Type"], body), (200, "image/png", self.picture))
        self.assertEqual(self.site.fetch(picture, headers={"If-None-Match": headers["ETag"]})[0], 304)
        self.assertIn("immutable", self.site.fetch(picture + "?v=1")[1]["Cache-Control"])
        thumbnail = self.site.fetch(picture.replace("/images/", "/thumbnails/"))
        self.assertEqual((thumbnail[0], thumbnail[2][:4], len(thumbnail[2]) < 400_000), (200, b"\x89PNG", True))
        (self.site.scratch / "secret.png").write_bytes(b"secret")
        (self.site.scratch / "images/out.png").symlink_to(self.site.scratch / "secret.png")
        for way in ("/images/../secret.png", "/images/%2e%2e/secret.png", "/images/..%2fsecret.png", "/images/out.png", "/images//etc/passwd",
                    "/images/qa/../../secret.png", "/images/%00.png", f"/images/{urllib.parse.quote(str(self.site.scratch))}/secret.png"):
            with socket.create_connection(("127.0.0.1", self.site.port()), 10) as raw:  # urllib would tidy the path
                raw.sendall(f"GET {way} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                answer = b"".join(iter(lambda: raw.recv(65536), b""))
            self.assertIn(b"404 Not Found", answer.split(b"\r\n")[0], way)
            self.assertNotIn(b"secret", answer.split(b"\r\n\r\n", 1)[1].replace(way.encode(), b"").replace(b"secret.png", b""))

    def test_api_twins(self):
        groups = json.loads(self.site.fetch("/api/v1/groups?state=done&limit=5")[2])
        self.assertEqual(len(groups["groups"]), 5)
        self.assertEqual(groups["next_after"], groups["groups"][-1]["id"])
        group = json.loads(self.site.fetch("/api/v1/groups/" + self.group)[2])
        self.assertEqual(len(group["files"]), 16)
        image = [p for p in group["products"] if p["kind"] == "image.pbcor"][0]
        lineage = json.loads(self.site.fetch(f"/api/v1/products/{image['id']}")[2])["lineage"]
        self.assertEqual(sum(p["kind"] == "uvh5" for p in lineage), 16)
        tables = json.loads(self.site.fetch("/api/v1/calibration?kind=BP&status=active")[2])["tables"]
        self.assertEqual(len(tables), 2)
        status = json.loads(self.site.fetch("/api/v1/status")[2])
        self.assertIn("directories", status)

    def test_a_browser_that_reads_slowly_holds_nothing_up(self):
        slow = [socket.create_connection(("127.0.0.1", self.site.port()), 10) for _ in range(20)]
        for connection in slow:
            self.addCleanup(connection.close)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /groups HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        self.assertEqual(self.site.fetch("/healthz")[0], 200)
        self.assertEqual(self.site.fetch("/")[0], 200)


if __name__ == "__main__":
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        print(f"needs {' and '.join(missing)}: skipped")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
