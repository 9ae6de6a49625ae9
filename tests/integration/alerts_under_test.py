"""A real Prometheus with the rules of ops/prometheus, a real Alertmanager with the routes of ops/alertmanager and a
listener that imitates Slack, all in minutes made seconds."""
import http.server
import json
import re
import shutil
import subprocess
import threading
import urllib.request

from daemon_under_test import SOURCE, free_port, wait_for

RULES = SOURCE / "ops/prometheus/contimg.rules.yml"
ALERTMANAGER = SOURCE / "ops/alertmanager/alertmanager.example.yml"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def shortened(text, divisor, least_s=1, least_window_s=1):
    """The durations in rules or routes, divided. A window holds some scrapes even when the machine is busy."""
    def shorter(found):
        least = least_window_s if found[1] == "[" else least_s
        return f"{found[1]}{max(least, round(int(found[2]) * UNITS[found[3]] / divisor))}s"
    return re.sub(r"([\[ :])(\d+)([smhdw])(?=[\]\s}:])", shorter, text)


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


class Peers:
    """They watch services at these ports of this machine."""

    @staticmethod
    def installed():
        return all(map(shutil.which, ("prometheus", "prometheus-alertmanager")))

    def __init__(self, root, ports):
        self.slack = Slack()
        alertmanager, self.port = free_port(), free_port()
        (root / "webhook").write_text(f"http://127.0.0.1:{self.slack.server_address[1]}/")
        routes = ALERTMANAGER.read_text().replace("/etc/prometheus/contimg-slack-webhook", str(root / "webhook"))
        routes = re.sub(r"repeat_interval: \S+", "repeat_interval: 1h", shortened(routes, 60))
        (root / "alertmanager.yml").write_text(routes)
        (root / "rules.yml").write_text(shortened(RULES.read_text(), 600, least_s=2, least_window_s=15))
        targets = ", ".join(f"'127.0.0.1:{port}'" for port in ports)
        (root / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{root}/rules.yml']\n"
            f"scrape_configs: [{{job_name: contimg, static_configs: [{{targets: [{targets}]}}]}}]\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n")
        self.processes = [
            subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for words in (
                [shutil.which("prometheus-alertmanager"), f"--config.file={root}/alertmanager.yml",
                 f"--storage.path={root}/am", f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address="],
                [shutil.which("prometheus"), f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/tsdb",
                 f"--web.listen-address=127.0.0.1:{self.port}"])]

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.slack.shutdown()
        self.slack.server_close()

    def scraped(self):
        """How many services it has seen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?query=up==1", timeout=10) as answer:
                return len(json.load(answer)["data"]["result"])
        except OSError:
            return 0

    def told(self, word, alert):
        """The messages that say FIRING or RESOLVED of it."""
        return [text for title, text in self.slack.messages if title == f"[{word}] {alert}"]

    def wait(self, word, alerts, seconds=120):
        def missing():
            return [alert for alert in alerts if not self.told(word, alert)]
        wait_for(lambda: not missing(), seconds,
                 what=lambda: f"{word} {missing()}; heard: {sorted({title for title, _ in self.slack.messages})}")
