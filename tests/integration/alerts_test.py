#!/usr/bin/python3
"""The rules of ops/prometheus hold for a live service: every name in them is exported, every command in them exists, their
own tests pass, and alerts of faults in a live daemon reach a listener that imitates Slack, through a real Prometheus and a
real Alertmanager, once, and are resolved after the cure. Times of the rules are divided by 600.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/alerts_test.py [-v]
"""
import http.server
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import unittest

from daemon_under_test import BIN, SOURCE, DaemonUnderTest, wait_for

RULES = SOURCE / "ops/prometheus/contimg.rules.yml"
ALERTMANAGER = SOURCE / "ops/alertmanager/alertmanager.example.yml"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def shortened(text, divisor=600, least=1):
    """The durations in rules or routes, divided."""
    return re.sub(r"(?<=[\[ :])(\d+)([smhdw])(?=[\]\s}:])",
                  lambda m: f"{max(least, round(int(m[1]) * UNITS[m[2]] / divisor))}s", text)


def exported_names(text):
    """Of Prometheus' text format, histograms and summaries with all that they bring."""
    return set(re.findall(r"(?m)^([a-zA-Z_:][\w:]*)", text)) | set(re.findall(r"(?m)^# TYPE (\S+)", text))


class Slack(http.server.ThreadingHTTPServer):
    """A listener that takes messages as Slack does."""

    def __init__(self):
        self.messages = []
        messages = self.messages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                attachment = (body.get("attachments") or [{}])[0]
                messages.append((attachment.get("title", ""), attachment.get("text", "")))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class AlertsTest(DaemonUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin("alerts", CONTIMG_INGEST_DEADLINE_S="2", CONTIMG_DISK_CHECK_S="1")
        self.addCleanup(self.end)

    def end_of(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0, self.log())

    def test_rules_pass_their_own_tests(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        for words in (["check", "rules", RULES], ["test", "rules", RULES.with_name("contimg.rules.test.yml")]):
            done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
        tests = RULES.with_name("contimg.rules.test.yml").read_text()
        for alert in alerts:
            self.assertRegex(tests, rf"alertname: {alert}, exp_alerts: \[\]", "silent once")
            self.assertRegex(tests, rf"alertname: {alert}\n +exp_alerts: \[{{", "firing once")

    def test_commands_exist(self):
        commands = {command for command in re.findall(r'action: "([^"]+)"', RULES.read_text())}
        self.assertGreater(len(commands), 8)
        for command in commands:
            words = command.split()
            if words[0] == "systemctl":
                continue
            self.assertEqual(words[0], "contimg")
            done = subprocess.run([BIN / "contimg", *words[1:], "--help"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, command + done.stderr)

    def test_every_name_is_exported(self):
        self.let_the_disk_shrink()
        self.start()
        wait_for(lambda: "contimg_database_size_bytes{" in self.get("/metrics")[1], 30)
        exported = exported_names(self.get("/metrics")[1])
        expressions = "\n".join(re.findall(r"expr: (.*)", RULES.read_text()))
        names = set(re.findall(r"\bcontimg_[a-z0-9_]+", expressions))
        self.assertGreater(len(names), 20)
        self.assertEqual(sorted(names - exported), [])
        document = (SOURCE / "docs/operations/metrics.md").read_text()
        for name in {name for name in exported if name.startswith("contimg_")}:
            base = re.sub(r"_(bucket|count|sum)$", "", name) if name not in document else name
            self.assertIn(base, document, "docs/operations/metrics.md")

    def run_peers(self):
        slack = Slack()
        self.addCleanup(slack.shutdown)
        alertmanager, prometheus = free_port(), free_port()
        (self.root / "webhook").write_text(f"http://127.0.0.1:{slack.server_address[1]}/")
        routes = shortened(ALERTMANAGER.read_text().replace("/etc/prometheus/contimg-slack-webhook", str(self.root / "webhook")), 60)
        (self.root / "alertmanager.yml").write_text(re.sub(r"repeat_interval: \S+", "repeat_interval: 1h", routes))
        (self.root / "rules.yml").write_text(shortened(RULES.read_text(), least=2))
        (self.root / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{self.root}/rules.yml']\n"
            f"scrape_configs: [{{job_name: contimg, static_configs: [{{targets: ['127.0.0.1:{self.port()}']}}]}}]\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n")
        for words in ([shutil.which("prometheus-alertmanager"), f"--config.file={self.root}/alertmanager.yml",
                       f"--storage.path={self.root}/am", f"--web.listen-address=127.0.0.1:{alertmanager}",
                       "--cluster.listen-address="],
                      ["prometheus", f"--config.file={self.root}/prometheus.yml", f"--storage.tsdb.path={self.root}/tsdb",
                       f"--web.listen-address=127.0.0.1:{prometheus}"]):
            self.processes.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return slack

    def test_faults_reach_slack_and_are_resolved(self):
        if shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None:
            self.skipTest("prometheus and prometheus-alertmanager are not installed")
        self.end_of(self.start())
        self.answer("backup")
        with sqlite3.connect(self.root / "state/operations.sqlite3") as database:
            database.execute("INSERT INTO integrity_findings (at, place, subject, detail) VALUES (1, 'local', '/x', 'damaged')")
        cured = dict(self.environment)
        self.environment["CONTIMG_DISK_WARN_FREE_BYTES"] = "900TB"  # low at once
        process = self.start()
        port = self.port()
        slack = self.run_peers()

        def told(word, alert):
            return any(word in title and alert in title for title, _ in slack.messages)

        for alert in ("ContimgScratchDiskLow", "ContimgIntegrityFailure"):
            wait_for(lambda alert=alert: told("FIRING", alert), 90, what=lambda: f"{alert}: {slack.messages}")
        # The service goes down, and comes back cured.
        self.end_of(process)
        wait_for(lambda: told("FIRING", "ContimgDown"), 60, what=lambda: str(slack.messages))
        self.environment = {**cured, "CONTIMG_HTTP_LISTEN": f"127.0.0.1:{port}"}
        with sqlite3.connect(self.root / "state/operations.sqlite3") as database:
            database.execute("UPDATE integrity_findings SET resolved_at = 2")
        self.start()
        for alert in ("ContimgDown", "ContimgScratchDiskLow", "ContimgIntegrityFailure"):
            wait_for(lambda alert=alert: told("RESOLVED", alert), 120, what=lambda: f"{alert}: {slack.messages}")
        time.sleep(3)
        for alert in ("ContimgScratchDiskLow", "ContimgIntegrityFailure", "ContimgDown"):
            firing = [title for title, _ in slack.messages if "FIRING" in title and alert in title]
            self.assertEqual(len(firing), 1, slack.messages)
        text = next(text for title, text in slack.messages if "ContimgIntegrityFailure" in title)
        self.assertIn("`contimg verify --failed`", text)


if __name__ == "__main__":
    unittest.main()
