#!/usr/bin/python3
"""Copies of products at real rclone remotes: made, read back, restored, verified, and what becomes of them when something
goes wrong.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/archive_test.py [-v]
"""
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

from archive_under_test import DAY, OBJECT, SOURCE, STAMP, ArchiveUnderTest, content, kill
from daemon_under_test import DaemonUnderTest, simulate, wait_for

SCHEMA = SOURCE / "docs/formats/archive-manifest.schema.json"


class ArchiveTest(ArchiveUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin()
        self.addCleanup(self.end)

    # --- what an archive is
    def test_other_programs_read_what_is_archived(self):
        """tar, sha256sum, jsonschema and rclone's own comparison; names with colons, blanks, unicode and line feeds."""
        self.remotes = [{"target": "lake:contimg"}, {"target": "tape:contimg"}]
        names = [f"{STAMP}.image.pbcor.fits", "a b.fits", "bild-ä-星.fits", "two\nlines.fits", "x" * 180 + ".fits"]
        images = [self.image(name)[1] for name in names]
        _, table = self.table()
        parent = self.rows("SELECT id FROM products WHERE path = ?", str(images[0]))[0]["id"]
        self.record(images[1], parents=[parent])
        plan = self.good("archive")
        self.assertIn("Nothing was changed", plan)
        self.assertRegex(plan, r"images +1 +5 ")
        self.assertEqual(self.objects(), [])
        self.assertEqual(self.archive()["objects"], 4)
        self.assert_at_rest("lake", "tape")
        self.assertEqual(len(self.copies()), 4)
        check = self.rclone("check", "--download", "lake:contimg", "tape:contimg")
        self.assertEqual(check.returncode, 0, check.stderr)

        file = self.root / "lake/contimg" / OBJECT
        self.assertNotIn(":", "".join(self.objects()))
        listed = subprocess.run(["tar", "--quoting-style=literal", "-tf", file], capture_output=True, check=True).stdout
        self.assertEqual(listed, b"".join(f"images/single/{DAY}/{name}\n".encode() for name in sorted(names)))
        out = self.root / "out"
        out.mkdir()
        subprocess.run(["tar", "-xf", file, "-C", out], check=True)
        for image in images:
            self.assertEqual((out / "images/single" / DAY / image.name).read_bytes(), image.read_bytes())
        manifest = json.loads(pathlib.Path(f"{file}.json").read_text())
        import jsonschema
        jsonschema.validate(manifest, json.loads(SCHEMA.read_text()))
        tables = next((self.root / "lake/contimg").glob("caltables/*/*.json"))
        jsonschema.validate(json.loads(tables.read_text()), json.loads(SCHEMA.read_text()))
        sums = "".join(f"{m['sha256']}  {m['path']}\n" for m in manifest["members"] if "\n" not in m["path"])
        done = subprocess.run(["sha256sum", "-c", "-"], input=sums, text=True, cwd=out / "images", capture_output=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for member in manifest["members"]:  # the piece that is named is the product
            piece = file.read_bytes()[member["offset"]:member["offset"] + member["bytes"]]
            self.assertEqual(hashlib.sha256(piece).hexdigest(), member["sha256"])
        members = {m["path"]: m for m in manifest["members"]}
        self.assertEqual(members[f"single/{DAY}/a b.fits"]["parents"],
                         [{"root": "images", "path": f"single/{DAY}/{images[0].name}"}])
        # A folder's piece is a tar by itself, without the lock.
        member = json.loads(tables.read_text())["members"][0]
        piece = pathlib.Path(str(tables)[:-5]).read_bytes()[member["offset"]:member["offset"] + member["bytes"]]
        with tarfile.open(fileobj=io.BytesIO(piece + bytes(1024))) as tar:
            self.assertEqual([m.name.rsplit(".gpcal/")[1] for m in tar], ["ANTENNA/table.f0", "table.dat", "table.f0"])
        # On record, with SHA-256.
        row = self.rows("SELECT * FROM products WHERE path = ?", str(images[0]))[0]
        self.assertEqual(row["sha256"], hashlib.sha256(images[0].read_bytes()).hexdigest())
        run = self.rows("SELECT * FROM maintenance_runs WHERE kind = 'archive' ORDER BY id DESC", database="operations")[0]
        self.assertEqual((run["outcome"], run["dry_run"]), ("ok", 0))
        self.assertEqual(json.loads(run["figures_json"])["objects"], 4)
        self.assertIn("0 products on disk with fewer than 1 verified copy", self.good("archive", "list"))
        self.assertIn("made 20", self.good("archive", "show", OBJECT))
        self.assertEqual(self.archive()["objects"], 0, "nothing is left to do")

    def test_the_same_products_give_the_same_bytes(self):
        """A remote that is added later gets the object of the first under its name."""
        self.image()
        self.table()
        self.archive()
        self.remotes.append({"target": "tape:contimg"})
        self.assertEqual(self.archive()["objects"], 2)
        self.assertEqual(self.rclone("check", "--download", "lake:contimg", "tape:contimg", "--exclude", "*.json").returncode, 0)
        self.assertEqual(self.objects("lake"), self.objects("tape"))

    def test_remotes_of_every_kind(self):
        """A directory, sftp, webdav (which knows no hashes), and crypt: at rest nothing can be read there."""
        self.add_remote("secret", type="crypt", remote="tape:crypt", password=self.obscured("one"),
                        password2=self.obscured("two"))
        _, dav = self.serve("webdav", self.root / "lake")
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{dav}", vendor="other")
        (self.root / "ssh").mkdir()
        _, ssh = self.serve("sftp", self.root / "ssh", "--user", "u", "--pass", "p", "--key", str(self.ssh_key()))
        self.add_remote("ssh", type="sftp", host="127.0.0.1", port=ssh, user="u", **{"pass": self.obscured("p")})
        plain = self.root / "plain"
        plain.mkdir()
        self.remotes = [{"name": "plain", "target": str(plain)}, {"target": "ssh:contimg"}, {"target": "dav:contimg"},
                        {"target": "secret:"}]
        _, image = self.image(data=b"SIMPLE  =" * 3000)
        _, table = self.table()
        before = content(image), content(table)
        for mode in ("download", "hash"):
            with self.subTest(mode=mode):
                if mode == "hash":  # anew: another name
                    image.write_bytes(b"OTHER   =" * 3000)
                    self.record(image)
                    before = content(image), before[1]
                self.archive(CONTIMG_ARCHIVE_VERIFY=mode)
                self.assertEqual(sum(r["class"] == "images" for r in self.copies()), 4)
        for path in (self.root / "tape").rglob("*"):
            self.assertFalse(path.is_file() and b"SIMPLE" in path.read_bytes())
            self.assertNotIn("images", path.name)
        self.assertIn(b"SIMPLE", (plain / OBJECT).read_bytes())
        for each in self.remotes:
            name = each.get("name", each["target"].split(":")[0])
            with self.subTest(remote=name):
                self.let_go(image, table)
                self.good("restore", image, table, "--remote", name, "--apply")
                self.assertEqual((content(image), content(table)), before)
        self.good("archive", "verify", "--share", 1)

    def test_damage_of_what_is_encrypted_is_damage_and_no_silence(self):
        """crypt answers it with a failure to read: an object that cannot be decrypted, or is cut off, is lost; with another
        password nothing is known."""
        self.add_remote("secret", type="crypt", remote="tape:", filename_encryption="off", directory_name_encryption="false",
                        password=self.obscured("one"))
        self.remotes = [{"target": "secret:", "retries": 0}, {"target": "lake:contimg"}]
        groups = [f"{DAY}T13:{minute}:03" for minute in (10, 20, 30)]
        images = [self.image(f"{group}.fits", 200_000, group=group)[1] for group in groups]
        self.archive()
        kept = [image.read_bytes() for image in images]
        files = [self.root / "tape" / (self.object_of(group, "secret") + ".bin") for group in groups]
        files[0].write_bytes(files[0].read_bytes()[:100_000] + b"????" + files[0].read_bytes()[100_004:])
        files[1].write_bytes(files[1].read_bytes()[:120_000])
        self.let_go(*images)
        self.assertIn("2 are no longer what was recorded", self.refused(3, "verify", "--archive", "--share", 1))
        self.assertEqual(len(self.copies("lost")), 2)
        self.rows("UPDATE archives SET state = 'verified' WHERE remote = 'secret'")
        files[2].write_bytes(b"x" + files[2].read_bytes()[1:])
        self.refused(3, "restore", *images, "--remote", "secret", "--apply")
        self.assertEqual(len(self.copies("lost")), 3)
        self.good("restore", *images, "--apply")
        self.assertEqual([image.read_bytes() for image in images], kept)
        self.rows("UPDATE archives SET state = 'verified' WHERE remote = 'secret'")
        self.config.write_text(self.config.read_text().replace("password = ", f"password = {self.obscured('two')}\n# "))
        self.refused(1, "verify", "--archive", "--share", 1)
        self.assertEqual(self.copies("lost"), [])

    def ssh_key(self):
        key = self.root / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        return key

    # --- what was made anew
    def test_what_was_made_anew_gets_a_name_of_its_own(self):
        _, image = self.image()
        _, other = self.image("other.fits")
        self.archive()
        first = (self.root / "lake/contimg" / OBJECT).read_bytes()
        image.write_bytes(b"anew" * 500)
        self.record(image)
        self.archive()
        self.assertEqual((self.root / "lake/contimg" / OBJECT).read_bytes(), first)
        second = OBJECT.replace(".images.tar", ".images.2.tar")
        self.assertEqual(self.copies()[-1]["object"], second)
        members = json.loads((self.root / "lake/contimg" / (second + ".json")).read_text())["members"]
        self.assertEqual(len(members), 1, "the other has its copy")
        other.write_bytes(b"anew" * 600)
        self.record(other)
        self.assertEqual(self.archive()["retired"], 1)
        self.assertEqual([row["object"] for row in self.copies("retired")], [OBJECT])
        self.assertIn("made anew since", self.good("archive", "show", OBJECT))
        self.let_go(image, other)
        self.good("restore", "--group", STAMP, "--apply")
        self.assertEqual((image.read_bytes(), other.read_bytes()), (b"anew" * 500, b"anew" * 600))

    def test_a_product_that_changes_meanwhile_waits(self):
        """Its record still says what it was; nothing wrong is archived, and the others are."""
        _, image = self.image()
        _, other = self.image("other.fits")
        sentence = None
        image.write_bytes(b"changed" * 100)  # replaced, and not recorded yet
        sentence = self.refused(1, "archive", "--apply")
        self.assertIn("it is not what was recorded", sentence)
        self.assertEqual([m["path"] for m in self.manifest(OBJECT)["members"]], [f"single/{DAY}/other.fits"])
        findings = json.loads(self.good("verify", "--failed", "--json"))["findings"]
        self.assertEqual([(f["place"], f["subject"]) for f in findings], [("local", str(image))])
        self.record(image)
        self.archive()
        self.assertEqual(len(self.copies()), 2)
        image.unlink()  # gone, and not recorded yet
        self.rows("UPDATE products SET checksum = 'ffff' WHERE path = ?", str(image))
        self.assertEqual(self.archive()["changed"], 1)

    def test_what_is_no_file_is_not_archived(self):
        """Links inside a product, whatever they point to; what lies outside the tree."""
        _, table = self.table()
        (table / "secret").symlink_to("/etc/passwd")
        outside = self.root / "outside.fits"
        outside.write_bytes(b"x" * 100)
        self.record(outside, group="")
        self.image()
        sentence = self.refused(1, "archive", "--apply")
        self.assertIn(f"{table}/secret: expected a file or a folder, found a link", sentence)
        self.assertEqual([row["class"] for row in self.copies()], ["images"])
        self.assertNotIn(b"root:", b"".join(p.read_bytes() for p in (self.root / "lake").rglob("*") if p.is_file()))
        self.assertIn("outside the directories", self.good("archive"))

    def test_groups_and_ages(self):
        self.image()
        self.rows("UPDATE products SET created_at = ?", time.time() - 86400)
        plan = json.loads(self.good("archive", "--json", "--older-than", "2"))
        self.assertEqual((plan["objects"], plan["kept"][0]["reason"]), ([], "younger than 2 days"))
        self.assertEqual(len(json.loads(self.good("archive", "--json", "--older-than", "0.5"))["objects"]), 1)
        self.assertEqual(json.loads(self.good("archive", "--json", "--class", "qa"))["objects"], [])
        self.assertEqual(json.loads(self.good("archive", "--json", "--group", "x"))["objects"], [])
        self.refused(2, "archive", "--remote", "moon")
        self.refused(2, "archive", "--class", "pictures")
        self.remotes = []
        self.assertIn("archive.remotes: is not set", self.refused(2, "archive", "--apply"))

    # --- damage
    def test_a_flipped_byte_is_found_and_another_copy_serves(self):
        self.remotes = [{"target": "lake:contimg"}, {"target": "tape:contimg"}]
        _, image = self.image()
        kept = image.read_bytes()
        self.archive()
        file = self.root / "lake/contimg" / OBJECT
        data = bytearray(file.read_bytes())
        data[5000] ^= 1
        file.write_bytes(data)
        self.let_go(image)
        done = self.contimg("restore", image, "--apply")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(image.read_bytes(), kept)
        self.assertIn("tape:", done.stdout)
        self.assertEqual([row["remote"] for row in self.copies("lost")], ["lake"])
        self.assertIn("expected SHA-256", self.good("verify", "--failed"))
        # The next run makes another copy there, under a name of its own.
        self.archive()
        self.assertEqual(len(self.copies(remote="lake")), 1)
        self.assertTrue((self.root / "lake/contimg" / OBJECT.replace(".tar", ".2.tar")).exists())
        self.assertEqual(file.read_bytes(), bytes(data), "nothing is written over")
        self.good("archive", "verify", "--share", 1)

    def test_copies_of_what_is_gone_from_disk_come_from_another_remote(self):
        """Two remotes, one copy damaged, one lost, all products let go: the policy's number is there again after a run; so
        it is at a remote that is new."""
        self.remotes = [{"target": "lake:contimg"}, {"target": "tape:contimg"}]
        policy = {"CONTIMG_ARCHIVE_COPIES": "2"}
        groups = [f"{DAY}T13:{minute}:03" for minute in (10, 20, 30)]
        images = [self.image(f"{group}.image.fits", group=group)[1] for group in groups]
        kept = [image.read_bytes() for image in images]
        self.archive(**policy)
        self.let_go(*images)
        damaged, gone = (self.root / "lake/contimg" / self.object_of(group, "lake") for group in groups[:2])
        damaged.write_bytes(b"?" + damaged.read_bytes()[1:])
        gone.unlink()
        self.refused(3, "verify", "--share", 1, **policy)
        self.assertEqual(len(self.copies(remote="lake")), 1)
        self.assertEqual(len(json.loads(self.good("archive", "--json", **policy))["replicas"]), 2)
        result = self.archive(**policy)
        self.assertEqual((result["objects"], result["replicas"]), (2, 2))
        self.assertEqual(len(self.copies(remote="lake")), 3)
        self.assert_at_rest("lake", "tape")
        self.remotes.append({"name": "third", "target": str(self.root / "third")})
        self.assertEqual(self.archive(**policy)["replicas"], 3)
        self.remotes = self.remotes[:1] + self.remotes[2:]
        self.good("restore", *images, "--remote", "lake", "--apply")
        self.assertEqual([image.read_bytes() for image in images], kept)
        # The only source is bad: it is found out, and nothing wrong becomes a copy.
        self.let_go(images[0])
        for row in self.rows("SELECT remote, object FROM archives WHERE group_id = ? AND state = 'verified'", groups[0]):
            folder = self.root / (row["remote"] if row["remote"] == "third" else row["remote"] + "/contimg")
            (folder / row["object"]).write_bytes(b"damaged")
        self.remotes.append({"name": "fourth", "target": str(self.root / "fourth"), "retries": 0})
        self.refused(1, "archive", "--apply")
        self.assertEqual([row for row in self.copies(remote="fourth") if row["group_id"] == groups[0]], [])
        self.assertGreaterEqual(len([row for row in self.copies("lost") if row["group_id"] == groups[0]]), 2)

    def test_without_a_whole_copy_nothing_comes_back(self):
        _, image = self.image()
        self.archive()
        file = self.root / "lake/contimg" / OBJECT
        file.write_bytes(file.read_bytes()[:9000])
        self.let_go(image)
        self.assertIn("no copy of it could be fetched", self.refused(3, "restore", image, "--apply"))
        self.assertFalse(image.exists())
        self.assertEqual(list(image.parent.iterdir()), [], "nothing half")
        self.assertEqual(len(self.copies("lost")), 1)
        self.assertIn("no whole copy", self.refused(3, "restore", image, "--apply"))

    def test_verify_finds_every_kind_of_damage(self):
        self.remotes = [{"target": "lake:contimg"}, {"target": "tape:contimg"}]
        groups = [f"{DAY}T13:{minute}:03" for minute in (10, 20, 30)]
        images = [self.image(f"{group}.image.fits", group=group)[1] for group in groups]
        _, table = self.table()
        self.archive()
        self.assertIn("0 damaged", self.good("verify", "--share", 1))
        flipped, gone, cut = (self.root / "lake/contimg" / self.object_of(group, "lake") for group in groups)
        flipped.write_bytes(b"?" + flipped.read_bytes()[1:])
        gone.unlink()
        cut.write_bytes(cut.read_bytes()[:-1024])
        (table / "table.f0").write_bytes(b"!" + (table / "table.f0").read_bytes()[1:])
        sentence = self.refused(3, "verify", "--share", 1)
        self.assertIn("4 are no longer what was recorded", sentence)
        findings = json.loads(self.good("verify", "--failed", "--json"))["findings"]
        self.assertEqual(sorted(f["place"] for f in findings), ["archive"] * 3 + ["local"])
        self.assertIn("is not there any more", [f["detail"] for f in findings])
        self.assertEqual(len(self.copies("lost")), 3)
        # Cured: the table comes back from its copy, and the remote gets other copies.
        shutil.rmtree(table)
        self.rows("UPDATE products SET status = 'missing' WHERE path = ?", str(table))
        self.good("restore", table, "--apply")
        self.archive()
        self.good("verify", "--share", 1)
        # The products of the objects that are lost have other copies now: nothing is open, and nothing alerts for ever.
        self.assertEqual(json.loads(self.good("verify", "--failed", "--json"))["findings"], [])
        self.assertEqual(len(self.copies("lost")), 3)
        self.assertEqual(len(images), 3)

    def object_of(self, group, remote):
        return self.rows("SELECT object FROM archives WHERE group_id = ? AND remote = ?", group, remote)[0]["object"]

    def test_a_share_is_read_each_time_and_all_in_turn(self):
        for i in range(10):
            self.image(f"{STAMP}.{i}.fits", 1000)
        for _ in range(5):
            self.assertIn("2 products read again", self.good("verify", "--local", "--share", "0.2"))
        self.assertEqual(self.rows("SELECT count(*) AS n FROM products WHERE checked_at IS NULL")[0]["n"], 0)

    # --- remotes in trouble
    def test_a_remote_that_is_down_and_comes_back(self):
        server, port = self.serve("webdav", self.root / "lake")
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{port}", vendor="other")
        self.remotes = [{"target": "dav:contimg", "retries": 0}, {"target": "tape:contimg"}]
        groups = [f"{DAY}T13:{minute}:03" for minute in (10, 20, 30, 40)]
        for group in groups[:2]:
            self.image(f"{group}.fits", group=group)
        self.archive()
        server.kill()
        server.wait()
        for group in groups[2:]:
            self.image(f"{group}.fits", group=group)
        self.assertIn("could not be archived", self.refused(1, "archive", "--apply"))
        self.assertEqual((len(self.copies(remote="dav")), len(self.copies(remote="tape"))), (2, 4))
        self.assertEqual(self.outbox(), [], "nothing piles up")
        self.assertIn("could not be read again", self.refused(1, "verify", "--archive", "--share", 1))
        self.assertEqual(self.copies("lost"), [], "no answer is no loss")
        self.serve("webdav", self.root / "lake", port=port)
        self.archive()
        self.assertEqual(len(self.copies(remote="dav")), 4)
        self.assert_at_rest("lake", "tape")

    def test_a_server_that_goes_down_in_the_middle(self):
        server, port = self.serve("webdav", self.root / "lake")
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{port}", vendor="other")
        self.remotes = [{"target": "dav:contimg", "retries": 6}]
        self.image(size=6_000_000)
        self.rows("UPDATE products SET checksum = ''")  # taken as it is found (6 MB are long for this test's own XXH64)
        arguments, environment = self.command("archive", "--apply", CONTIMG_ARCHIVE_BANDWIDTH="4M")
        with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            part = self.wait_for_part("lake")
            server.kill()
            server.wait()
            time.sleep(1)
            self.assertIsNone(process.poll())
            self.serve("webdav", self.root / "lake", port=port)
            _, error = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, error.decode())
        self.assertIn(".part-", str(part))
        self.assert_at_rest()
        self.assertEqual(len(self.copies()), 1)

    def wait_for_part(self, folder, least=100_000):
        """Until something is being copied (now: an earlier run may have left its part)."""
        since = time.time()
        for _ in range(600):
            for path in (self.root / folder).glob("**/.part-*/**/*.tar"):
                try:
                    if path.stat().st_size >= least and path.stat().st_mtime > since:
                        return path
                except FileNotFoundError:
                    pass
            time.sleep(0.02)
        raise AssertionError("nothing is being copied")

    def test_a_killed_copy_is_no_copy(self):
        """kill -9 of rclone leaves a truncated file under the part name alone."""
        self.remotes = [{"target": "lake:contimg", "retries": 0}]
        self.image(size=6_000_000)
        self.rows("UPDATE products SET checksum = ''")
        arguments, environment = self.command("archive", "--apply", CONTIMG_ARCHIVE_BANDWIDTH="2M")
        with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            self.wait_for_part("lake")
            children = pathlib.Path(f"/proc/{process.pid}/task").glob("*/children")
            for pid in " ".join(path.read_text() for path in children).split():
                os.kill(int(pid), signal.SIGKILL)
            _, error = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, error.decode())
        self.assertEqual([name for name in self.objects() if name.endswith(".tar")], [])
        self.assertEqual([row["state"] for row in self.rows("SELECT state FROM archives")], ["staged"])
        self.archive()
        self.assert_at_rest()
        self.assertEqual(len(self.copies()), 1)

    def test_ctrl_c_ends_it_cleanly(self):
        self.image(size=6_000_000)
        self.rows("UPDATE products SET checksum = ''")
        for number in (signal.SIGINT, signal.SIGTERM):
            arguments, environment = self.command("archive", "--apply", CONTIMG_ARCHIVE_BANDWIDTH="1M")
            with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                self.wait_for_part("lake")
                process.send_signal(number)
                _, error = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 1)
            self.assertIn("cancelled on request", error.decode())
            run = self.rows("SELECT outcome FROM maintenance_runs ORDER BY id DESC", database="operations")[0]
            self.assertEqual(run["outcome"], "cancelled")
        self.archive()
        self.assert_at_rest()

    def test_a_remote_that_takes_too_long_is_ended(self):
        self.remotes = [{"target": "lake:contimg", "retries": 0, "timeout_s": 2}]
        self.image(size=6_000_000)
        self.rows("UPDATE products SET checksum = ''")
        self.assertIn("was not done within 2 s", self.refused(1, "archive", "--apply", CONTIMG_ARCHIVE_BANDWIDTH="1M"))
        self.archive()
        self.assert_at_rest()

    def test_a_full_remote(self):
        disk = self.root / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True,
                          check=False).returncode != 0:
            self.skipTest("this user may not mount")
        self.addCleanup(subprocess.run, ["umount", disk], check=False)
        self.remotes = [{"name": "disk", "target": str(disk), "retries": 0}, {"target": "tape:contimg"}]
        _, small = self.image("small.fits", 300_000, group=f"{DAY}T13:10:03", checksum="")
        self.archive()  # alone: which of two would find room is a matter of chance
        self.image("large.fits", 900_000, group=f"{DAY}T13:20:03", checksum="")
        self.assertIn("is full", self.refused(1, "archive", "--apply", CONTIMG_ARCHIVE_TRANSFERS="1"))
        self.assertEqual((len(self.copies(remote="disk")), len(self.copies(remote="tape"))), (1, 2))
        self.assertEqual([p for p in disk.rglob("*") if ".part-" in str(p) and p.is_file()], [], "no room is wasted")
        self.let_go(small)
        self.good("restore", small, "--remote", "disk", "--apply")
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        self.archive()
        self.assertEqual(len(self.copies(remote="disk")), 2)

    def test_a_remote_that_is_not_mounted_has_lost_nothing(self):
        self.image()
        self.archive()
        (self.root / "lake").rename(self.root / "away")
        (self.root / "lake").mkdir()
        self.image("later.fits", group=f"{DAY}T14:00:03")
        self.remotes[0]["retries"] = 0
        sentence = self.refused(1, "archive", "--apply")
        self.assertIn("expected the mark contimg-archive.json at lake:contimg, found none", sentence)
        self.refused(1, "verify", "--archive", "--share", 1)
        self.assertEqual(self.objects(), [], "nothing is written into the place of a mount")
        self.assertEqual(self.copies("lost"), [])
        (self.root / "lake").rmdir()
        (self.root / "away").rename(self.root / "lake")
        self.archive()
        self.assertEqual(len(self.copies()), 2)

    def test_nothing_there_is_replaced(self):
        self.image()
        foreign = self.root / "lake/contimg" / OBJECT
        foreign.parent.mkdir(parents=True)
        foreign.write_bytes(b"somebody else's")
        self.assertIn("holds other bytes", self.refused(1, "archive", "--apply"))
        self.assertEqual(self.copies(), [])
        self.archive()
        self.assertEqual(foreign.read_bytes(), b"somebody else's")
        self.assertEqual(self.copies()[0]["object"], OBJECT.replace(".tar", ".2.tar"))
        self.assertEqual([n for n in self.objects() if ".part-" in n], [])

    def test_a_remote_that_lies(self):
        """About what it took (half of it is missing, and it says well done), and about sizes."""
        self.remotes = [{"target": "lake:contimg", "retries": 0}]
        self.image()
        path = self.lying("copy", "$REAL \"$@\"; $REAL --config \"$HOME/rclone.conf\" cat --count 9000 "
                          f"\"$5/{OBJECT}\" > $HOME/half; $REAL --config \"$HOME/rclone.conf\" copyto $HOME/half \"$5/{OBJECT}\"; exit 0")
        self.assertIn("expected SHA-256", self.refused(1, "archive", "--apply", PATH=path))
        self.assertEqual((self.copies(), self.copies("copied")), ([], []))
        self.assertEqual([n for n in self.objects() if n.endswith(".tar")], [])
        self.archive()
        # Sizes: the listing on which records are made anew says another one.
        path = self.lying("lsjson", "$REAL \"$@\" | sed 's/\"Size\":[0-9]*/\"Size\":4711/g'; exit 0")
        for name in ("products.sqlite3", "products.sqlite3-wal", "products.sqlite3-shm"):
            (self.state / name).unlink(missing_ok=True)
        self.assertIn("of 4711 bytes", self.refused(3, "archive", "list", "--rebuild", "--apply", PATH=path))
        self.assertEqual(self.rows("SELECT count(*) AS n FROM archives")[0]["n"], 0)

    def test_two_runs_exclude_each_other(self):
        self.image(size=6_000_000)
        self.rows("UPDATE products SET checksum = ''")
        arguments, environment = self.command("archive", "--apply", CONTIMG_ARCHIVE_BANDWIDTH="3M")
        with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            self.wait_for_part("lake")
            self.assertIn("archive, process", self.refused(1, "archive", "--apply"))
            self.assertEqual(process.wait(60), 0)

    def test_killed_at_random_it_goes_on(self):
        self.remotes = [{"target": "lake:contimg"}, {"target": "tape:contimg"}]
        paths = []
        for i in range(12):
            group = f"{DAY}T{i + 1:02}:00:03"
            paths.append(self.image(f"{group}.fits", 30000, group=group)[1])
        kept = {path: path.read_bytes() for path in paths}
        dice = random.Random(1)
        for _ in range(12):
            arguments, environment = self.command("archive", "--apply")
            with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(dice.uniform(0.05, 1.2))
                kill(process)
            for row in self.copies():  # what is on record as verified is so at any time
                file = self.root / row["remote"] / "contimg" / row["object"]
                self.assertEqual(hashlib.sha256(file.read_bytes()).hexdigest(), row["sha256"])
        self.archive()
        self.assertEqual(len(self.copies()), 24)
        self.assert_at_rest("lake", "tape")
        self.assertEqual({row["object"].count(".2.") for row in self.copies()}, {0}, "each went on under its name")
        # Restoring, killed likewise.
        self.let_go(*paths)
        for _ in range(8):
            arguments, environment = self.command("restore", *(self.absent(paths) or paths), "--apply")
            with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(dice.uniform(0.05, 0.8))
                kill(process)
        if self.absent(paths):
            self.good("restore", *self.absent(paths), "--apply")
        for path, data in kept.items():
            self.assertEqual(path.read_bytes(), data)
        self.assertEqual({row["status"] for row in self.rows("SELECT status FROM products")}, {"present"})
        self.good("verify", "--share", 1)

    def absent(self, paths):
        present = {row["path"] for row in self.rows("SELECT path FROM products WHERE status = 'present'")}
        return [path for path in paths if str(path) not in present]

    def test_settings_that_do_nothing_good_are_named(self):
        self.image()
        self.remotes = [{"target": "moon:contimg", "retries": 0}]
        self.assertIn("expected the remote of moon:contimg in", self.refused(1, "archive", "--apply"))
        self.assertIn("moon", self.refused(2, "config", "check", CONTIMG_STAGING_DIR=f"/dev/shm/{self.root.name}"))
        self.remotes = [{"target": "lake:contimg"}]
        self.assertIn("archive.bandwidth", self.refused(2, "config", "check", CONTIMG_ARCHIVE_BANDWIDTH="fast"))
        self.assertIn("rclone", self.refused(2, "archive", "--apply", PATH="/nonexistent"))
        self.refused(2, "archive", "--apply", CONTIMG_ARCHIVE_COPIES="2")


class LiveArchiveTest(DaemonUnderTest, unittest.TestCase):
    """With a real daemon and what it made."""

    def test_a_group_goes_and_comes_back(self):
        pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        self.addCleanup(shutil.rmtree, pool)
        self.addCleanup(shutil.rmtree, f"{pool}-truth")
        stamp, = simulate(pool, "--antennas", 6, "--integrations", 2, "--channels", 4)
        self.begin("archive", CONTIMG_CALIBRATE_POLICY="uncalibrated", CONTIMG_IMAGE_SIZE="128",
                   CONTIMG_IMAGE_CELL_ARCSEC="20", CONTIMG_IMAGE_MIN_UV_LAMBDA="0", CONTIMG_ARCHIVE_AFTER_DAYS="0",
                   CONTIMG_INTEGRITY_EVERY_H="0.001", CONTIMG_INTEGRITY_SHARE="1")
        self.addCleanup(self.end)
        self.environment["CONTIMG_ARCHIVE_REMOTES"] = (
            f'[{{name = "lake", target = "{self.root}/lake", classes = "incoming,science_ms,images,qa"}}]')
        self.start()
        self.send(stamp, pool=pool)
        self.becomes(stamp, "done")
        lineage = self.read("products", "lineage", next((self.root / "scratch/images/single").glob("*/*.image.fits")))
        self.answer("archive", "--apply")
        self.assertIn("4 objects verified", self.answer("archive", "list"))
        products = {row["path"]: row["kind"] for row in self.read("products", "list", "--all", "--group", stamp)}
        gone = [pathlib.Path(path) for path, kind in products.items() if kind in ("uvh5", "science_ms", "image")]
        for path in gone:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.answer("restore", "--group", stamp, "--apply")
        image = next(path for path in gone if path.name.endswith(".image.fits"))
        self.assertEqual(self.read("products", "lineage", image)["product"]["checksum"], lineage["product"]["checksum"])
        self.assertIn("0 damaged", self.answer("verify", "--share", 1))
        self.assertIn("are equal", self.answer("products", "reproduce", image))
        self.assertIn("restored from lake", self.answer("queue", "show", stamp))
        # The service reads all of it again by itself, and takes no restored file for new data.
        n_before = len(self.verifications())
        wait_for(lambda: len(self.verifications()) > n_before, what="it is read again")
        self.assertEqual(self.state(stamp), "done")
        damaged = next((self.root / "scratch/images/single").glob("*/*.psf.fits"))
        damaged.write_bytes(b"?" + damaged.read_bytes()[1:])
        wait_for(lambda: str(damaged) in self.answer("verify", "--failed"), what="damage is found")
        self.assertEqual([row["state"] for name, row in self.groups().items() if name.startswith("verify/")
                          and row["state"] in ("failed", "dead")], [])

    def verifications(self):
        return [name for name, row in self.groups().items() if name.startswith("verify/") and row["state"] == "done"]


if __name__ == "__main__":
    if shutil.which("rclone") is None:
        print("rclone is not installed")
        sys.exit(77)
    unittest.main()
