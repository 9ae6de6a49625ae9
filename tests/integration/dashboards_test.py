#!/usr/bin/python3
"""The dashboards of ops/grafana hold for a live service: their structure is what Grafana takes (there is none to try), every
name in them is exported, and a real Prometheus that scrapes the service answers every query of every panel.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/dashboards_test.py [-v]
"""
import contextlib
import copy
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from alerts_test import RULES, exported_names
from daemon_under_test import SOURCE, DaemonUnderTest, free_port, simulate, wait_for

FOLDER = SOURCE / "ops/grafana"
# Those of Grafana's units that they use: a word that it does not know is shown behind the number.
UNITS = {"none", "s", "bytes", "decbytes", "Bps", "cps", "percentunit"}
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def queries(board):
    """(title of the panel, type, target) of all."""
    return [(panel["title"], panel["type"], target) for panel in board["panels"] for target in panel.get("targets", [])]


def faults_of(board):
    """What Grafana would not take, or a reader would miss, one sentence each."""
    faults = []

    def demand(holds, what):
        if not holds:
            faults.append(what)

    demand(board.get("schemaVersion") == 36, "schemaVersion")
    demand("id" not in board, "an id belongs to one Grafana")
    demand(re.fullmatch(r"[a-z-]{1,40}", board.get("uid", "")), "uid")
    demand(board.get("title") and board.get("description"), "title and description")
    variables = {each["name"]: each for each in board["templating"]["list"]}
    demand(variables.get("datasource", {}).get("type") == "datasource", "variable datasource")
    demand(variables.get("instance", {}).get("allValue") == ".+", "variable instance")
    panels = board["panels"]
    demand(len({panel["id"] for panel in panels}) == len(panels), "panel ids")
    for one, other in itertools.combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = (a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"]
                 or b["y"] + b["h"] <= a["y"])
        demand(apart, f"{one['title']} lies upon {other['title']}")
    for panel in panels:
        title, place = panel["title"], panel["gridPos"]
        demand(title, "a panel without title")
        demand(min(place["w"], place["h"]) > 0 <= min(place["x"], place["y"]) and place["x"] + place["w"] <= 24,
               f"{title}: gridPos")
        demand(panel["type"] in ("row", "stat", "timeseries"), f"{title}: type")
        if panel["type"] == "row":
            continue
        demand(panel.get("description", "").endswith("."), f"{title}: description")
        defaults = panel["fieldConfig"]["defaults"]
        demand(defaults.get("unit") in UNITS, f"{title}: unit")
        steps = defaults.get("thresholds", {"steps": [{"value": None}]})["steps"]
        values = [step["value"] for step in steps]
        demand(values[0] is None and values[1:] == sorted(values[1:]), f"{title}: thresholds")
        targets = panel.get("targets", [])
        demand(targets and len({target["refId"] for target in targets}) == len(targets), f"{title}: refIds")
        demand(all(target.get("legendFormat") for target in targets), f"{title}: legend")
        for source in (panel, *targets):
            demand(source.get("datasource") == DATA_SOURCE, f"{title}: datasource")
        for target in targets:
            names = re.findall(r"\b(?:contimg|process)_\w+|ALERTS", target["expr"])
            demand(names and target["expr"].count('instance=~"$instance"') == len(names), f"{title}: of all services")
    return faults


class DashboardsTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        cls.stamp = simulate(cls.pool, "--tiles", 1, "--antennas", 4, "--integrations", 2, "--channels", 4)[0]

    def setUp(self):
        self.begin("dashboards", CONTIMG_IMAGE_ENABLED="false", CONTIMG_FLAG_ENABLED="false",
                   CONTIMG_CALIBRATE_POLICY="uncalibrated")
        self.addCleanup(self.end)

    def test_structure(self):
        boards = dashboards()
        self.assertGreaterEqual(len(boards), 3)
        for name, board in boards.items():
            self.assertEqual(faults_of(board), [], name)
            self.assertEqual(board["uid"] + ".json", name)
        for what in ("uid", "title"):
            self.assertEqual(len({board[what] for board in boards.values()}), len(boards), what)

    def test_a_fault_of_structure_is_found(self):
        whole = dashboards()["contimg-disk.json"]

        def broken(change):
            board = copy.deepcopy(whole)
            change(board, [panel for panel in board["panels"] if panel["type"] != "row"])
            return faults_of(board)

        for change, word in ((lambda board, _: board.update(schemaVersion=12), "schemaVersion"),
                             (lambda board, _: board.update(id=7), "an id"),
                             (lambda board, _: board["templating"]["list"].pop(0), "variable datasource"),
                             (lambda _, panels: panels[1].update(id=panels[0]["id"]), "panel ids"),
                             (lambda _, panels: panels[1]["gridPos"].update(panels[0]["gridPos"]), "lies upon"),
                             (lambda _, panels: panels[0]["gridPos"].update(x=22), "gridPos"),
                             (lambda _, panels: panels[0]["fieldConfig"]["defaults"].update(unit="furlongs"), "unit"),
                             (lambda _, panels: panels[0]["targets"][0].update(datasource="Prometheus"), "datasource"),
                             (lambda _, panels: panels[0]["targets"][0].update(expr="contimg_ready"), "all services")):
            self.assertTrue(any(word in fault for fault in broken(change)), f"{word}: {broken(change)}")

    def test_the_example_loads_the_directory_that_is_installed(self):
        self.assertIn("path: /usr/share/contimg/grafana}", (FOLDER / "provisioning.example.yml").read_text())
        self.assertIn("ops/grafana", (SOURCE / "cmake/ContimgInstall.cmake").read_text())

    def test_every_name_is_exported_and_prometheus_answers_every_query(self):
        # With a product and a backup on record before the first look at the records, which is at the start.
        self.let_the_disk_shrink()
        first = self.start()
        self.send(self.stamp)
        self.becomes(self.stamp, "done")
        self.answer("backup")
        first.terminate()
        first.wait(60)
        self.start()
        wait_for(lambda: "contimg_database_size_bytes{" in self.get("/metrics")[1], 30)
        boards = dashboards()
        used = {name for board in boards.values() for _, _, target in queries(board)
                for name in re.findall(r"\b(?:contimg|process)_[a-z0-9_]+", target["expr"])}
        self.assertGreater(len(used), 40)
        missing = lambda: sorted(used - exported_names(self.get("/metrics")[1]))  # noqa: E731
        with contextlib.suppress(AssertionError):  # what is counted every so often comes with its first count
            wait_for(lambda: not missing(), 30)
        self.assertEqual(missing(), [])
        if shutil.which("prometheus") is None:
            self.skipTest("prometheus is not installed")
        port = free_port()
        (self.root / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n"
            f"scrape_configs: [{{job_name: contimg, static_configs: [{{targets: ['127.0.0.1:{self.port()}']}}]}}]\n")
        self.processes.append(subprocess.Popen(
            ["prometheus", f"--config.file={self.root}/prometheus.yml", f"--storage.tsdb.path={self.root}/tsdb",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def ask(how, **words):
            url = f"http://127.0.0.1:{port}/api/v1/{how}?{urllib.parse.urlencode(words)}"
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                text = error.read().decode()
                return json.loads(text) if text.startswith("{") else {}  # "Service Unavailable": it starts
            except (urllib.error.URLError, ConnectionError):
                return {}

        wait_for(lambda: ask("query", query="count_over_time(contimg_ready[1m]) >= 5").get("data", {}).get("result"), 60,
                 what="five samples")
        for name, board in boards.items():
            for annotation in board["annotations"]["list"]:
                answer = ask("query", query=annotation["expr"].replace("$instance", ".+"))
                self.assertEqual(answer.get("status"), "success", f"{name}: {answer}")
            for title, kind, target in queries(board):
                expression = target["expr"].replace("$instance", ".+").replace("$__rate_interval", "1m")
                self.assertNotIn("$", expression)
                now = time.time()
                answer = (ask("query", query=expression) if kind == "stat" else
                          ask("query_range", query=expression, start=now - 60, end=now, step=1))
                where = f"{name}: {title}: {expression}: {answer}"
                self.assertEqual(answer.get("status"), "success", where)
                self.assertEqual(answer.get("warnings", []), [], where)
                found = answer["data"]["result"]
                # What is asked for only where it is wrong, or was done, may be empty here.
                self.assertTrue(found or "> 0" in expression or "ALERTS" in expression, where)
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    self.assertTrue(all(label in series["metric"] for series in found), where)


if __name__ == "__main__":
    unittest.main()
