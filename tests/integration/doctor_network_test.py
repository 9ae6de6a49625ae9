"""`contimg doctor --network` against real rclone remotes: each that is in order, and each way in which one is not."""
import json
import os
import shutil
import unittest

from archive_under_test import ArchiveUnderTest


class DoctorNetworkTest(ArchiveUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin()
        self.addCleanup(self.end)
        self.make_databases()

    def doctor(self, *words, **more):
        done = self.contimg("doctor", "--json", *words, CONTIMG_STAGING_DIR=str(self.root / "staging"), **more)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        lines = json.loads(done.stdout)
        failed = any(line["verdict"] == "fail" for line in lines)
        self.assertEqual(done.returncode, int(failed), done.stdout + done.stderr)
        for line in lines:
            self.assertEqual(line["cure"] is None, line["verdict"] == "ok", line)
        return {line["name"]: line for line in lines}

    def look(self, name, verdict, words, cure, **more):
        line = self.doctor("--network", **more)[name]
        self.assertEqual(line["verdict"], verdict, line)
        self.assertIn(words, line["sentence"])
        self.assertNotIn("\n", line["sentence"])
        if cure:
            self.assertIn(cure, line["cure"])
        return line

    def test_remotes_in_order_and_nothing_of_the_trial_stays(self):
        _, port = self.serve("webdav", self.root / "tape", "--user", "array", "--pass", "secret")
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{port}", vendor="other", user="array",
                        **{"pass": self.obscured("secret")})
        (self.root / "disk").mkdir()
        self.remotes = [{"target": "lake:"}, {"target": "dav:"}, {"target": str(self.root / "disk"), "name": "disk"},
                        {"target": "lake:never used", "name": "new"}]
        before = self.there()
        lines = self.doctor("--network", CONTIMG_BACKUP_REMOTE="dav")
        self.assertEqual(lines["rclone's configuration"]["verdict"], "ok")
        for name in ("lake", "dav", "disk"):
            self.assertEqual(lines[f"remote {name}"]["verdict"], "ok", lines[f"remote {name}"])
        self.assertIn("backup.remote", lines["remote dav"]["sentence"])
        self.assertNotIn("backup.remote", lines["remote lake"]["sentence"])
        self.assertEqual(lines["remote new"]["verdict"], "warn")
        self.assertEqual(self.there(), before)
        strict = self.contimg("doctor", "--network", "--strict")
        self.assertEqual(strict.returncode, 1)

    def there(self):
        return sorted(path for folder in ("lake", "tape", "disk") for path in (self.root / folder).rglob("*"))

    def test_without_the_word_nobody_is_asked(self):
        """A program in rclone's place would tell."""
        tell = self.root / "bin/rclone"
        tell.parent.mkdir()
        tell.write_text(f"#!/bin/sh\ntouch {self.root}/asked\nexit 1\n")
        tell.chmod(0o755)
        path = f"{tell.parent}:{os.environ['PATH']}"
        self.assertFalse(any(name.startswith(("remote", "rclone")) for name in self.doctor(PATH=path)))
        self.assertFalse((self.root / "asked").exists())
        self.look("remote lake", "fail", "cannot list it", "rclone lsf", PATH=path)
        self.assertTrue((self.root / "asked").exists())

    def test_a_server_that_is_down_and_up_again(self):
        server, port = self.serve("webdav", self.root / "lake")
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{port}", vendor="other")
        self.remotes = [{"target": "dav:"}, {"target": "tape:"}]
        self.look("remote dav", "ok", "1 kB", "")
        server.kill()
        server.wait()
        self.look("remote dav", "fail", "connection refused", f"rclone lsf -vv --retries 1 --config {self.config} dav:")
        self.look("remote tape", "ok", "1 kB", "")
        self.serve("webdav", self.root / "lake", port=port)
        self.look("remote dav", "ok", "1 kB", "")

    def test_one_that_never_answers_is_given_up(self):
        tell = self.root / "bin/rclone"
        tell.parent.mkdir()
        tell.write_text("#!/bin/sh\nsleep 600\n")
        tell.chmod(0o755)
        self.remotes = [{"target": "lake:", "timeout_s": 1}]
        self.look("remote lake", "fail", "was not done within 1 s", "rclone lsf", PATH=f"{tell.parent}:{os.environ['PATH']}")

    def test_names_and_configurations_that_are_not_there(self):
        self.remotes = [{"target": "moon:contimg"}, {"target": "lake:"}]
        self.look("remote moon", "fail", f"expected the remote of moon:contimg in {self.config}, found none",
                  f"rclone config --config {self.config}")
        self.look("remote lake", "ok", "1 kB", "")
        self.config.rename(self.root / "away")
        self.look("rclone's configuration", "fail", "is not there", f"rclone config --config {self.config}")
        self.config.mkdir()
        self.look("rclone's configuration", "fail", str(self.config), f"ls -l {self.config}")

    def test_without_rclone_and_without_remotes(self):
        self.look("rclone", "fail", "is not installed", "apt install rclone", PATH="/nonexistent")
        self.remotes = []
        self.look("remotes", "warn", "archive.remotes is not set", "contimg config show archive", PATH="/nonexistent")

    def test_a_wrong_password(self):
        _, port = self.serve("webdav", self.root / "tape", "--user", "array", "--pass", "secret")
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{port}", vendor="other", user="array",
                        **{"pass": self.obscured("wrong")})
        self.remotes = [{"target": "dav:"}]
        self.look("remote dav", "fail", "401", f"rclone config --config {self.config}")

    def test_one_that_takes_nothing(self):
        _, port = self.serve("webdav", self.root / "tape", "--read-only")
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{port}", vendor="other")
        self.remotes = [{"target": "dav:"}]
        self.look("remote dav", "fail", "cannot write there", "rclone ")

    def test_another_place_under_the_old_name(self):
        """With copies on record an empty place is one that is not mounted, and another password of crypt finds no mark."""
        self.add_remote("secret", type="crypt", remote=str(self.root / "tape"), password=self.obscured("right"))
        self.remotes = [{"target": "lake:"}, {"target": "secret:"}]
        self.image()
        self.archive()
        self.look("remote lake", "ok", "1 kB", "")
        self.look("remote secret", "ok", "1 kB", "")
        shutil.move(self.root / "lake", self.root / "unmounted")
        (self.root / "lake").mkdir()
        self.look("remote lake", "fail", "is it mounted", "rclone lsf")
        self.assertEqual(list((self.root / "lake").iterdir()), [], "and nothing is put there")
        self.config.write_text(self.config.read_text().replace(
            next(line for line in self.config.read_text().splitlines() if line.startswith("password")),
            f"password = {self.obscured('wrong')}"))
        line = self.doctor("--network")["remote secret"]
        self.assertEqual(line["verdict"], "fail", line)


if __name__ == "__main__":
    unittest.main()
