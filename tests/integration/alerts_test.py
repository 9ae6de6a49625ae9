#!/usr/bin/python3
"""The rules of ops/prometheus hold for a live service: every name in them is exported, every command in them exists, and
their own tests pass. That alerts come and go with the faults: alert_faults_test.py.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/alerts_test.py [-v]
"""
import re
import shutil
import subprocess
import unittest

from daemon_under_test import BIN, SOURCE, DaemonUnderTest, wait_for

RULES = SOURCE / "ops/prometheus/contimg.rules.yml"


def exported_names(text):
    """Of Prometheus' text format, histograms and summaries with all that they bring."""
    return set(re.findall(r"(?m)^([a-zA-Z_:][\w:]*)", text)) | set(re.findall(r"(?m)^# TYPE (\S+)", text))


class AlertsTest(DaemonUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin("alerts", CONTIMG_INGEST_DEADLINE_S="2", CONTIMG_DISK_CHECK_S="1")
        self.addCleanup(self.end)

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


if __name__ == "__main__":
    unittest.main()
