#!/usr/bin/python3
"""Backups of the state at a real rclone remote: taken there, read back, and what may go there.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/backup_remote_test.py [-v]
"""
import datetime
import hashlib
import json
import shutil
import sys
import unittest

from archive_under_test import ArchiveUnderTest

DAY_S = 86400


class BackupRemoteTest(ArchiveUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin()
        self.addCleanup(self.end)
        self.remotes = [{"target": "lake:contimg", "retries": 2}]
        self.environment["CONTIMG_BACKUP_REMOTE"] = "lake"
        self.make_databases()
        self.there = self.root / "lake/contimg/backups"
        self.here = self.state / "backups"
        self.here.mkdir(exist_ok=True)

    def backup(self, **more):
        self.good("backup", **more)
        return sorted(p.name for p in self.here.iterdir())[-1]

    def aged(self, days):
        """A backup that was made so long ago, here."""
        newest = self.here / self.backup(CONTIMG_BACKUP_REMOTE="", CONTIMG_BACKUP_KEEP_DAYS="0")
        made = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)
        old = self.here / made.strftime("%Y-%m-%dT%H%M%SZ")
        newest.rename(old)
        listed = json.loads((old / "backup.json").read_text())
        listed["made_at"] = made.timestamp()
        (old / "backup.json").write_text(json.dumps(listed))
        digest = hashlib.sha256((old / "backup.json").read_bytes()).hexdigest()
        sums = [line for line in (old / "SHA256SUMS").read_text().splitlines() if not line.endswith("  backup.json")]
        (old / "SHA256SUMS").write_text("\n".join(sums + [f"{digest}  backup.json"]) + "\n")
        return old.name

    def names(self):
        return sorted(p.name for p in self.there.iterdir()) if self.there.exists() else []

    def run_figures(self):
        row = self.rows("SELECT figures_json FROM maintenance_runs WHERE kind = 'backup_shipping' ORDER BY id DESC LIMIT 1",
                        database="operations")[0]
        return json.loads(row["figures_json"])

    # --- on the way
    def test_a_part_that_reads_back_wrong_is_copied_again(self):
        """Once half of what it took is missing, and the remote says well done; as for objects of the archive."""
        once = self.root / "once"
        path = self.lying("copy", f"$REAL \"$@\"; if [ ! -e {once} ]; then touch {once}; f=$(find {self.root}/lake -path "
                          "'*/.part-*' -name ingest.sqlite3 -o -path '*/.part-*' -name products.sqlite3 | head -1); "
                          "truncate -s 100 \"$f\"; fi; exit 0")
        name = self.backup(PATH=path)
        self.assertTrue(once.exists())
        self.assertEqual(self.names(), [name])
        for line in (self.there / name / "SHA256SUMS").read_text().splitlines():
            self.assertEqual(hashlib.sha256((self.there / name / line[66:]).read_bytes()).hexdigest(), line[:64])

    def test_one_that_never_reads_back_is_no_backup_and_leaves_no_parts(self):
        path = self.lying("copy", f"$REAL \"$@\"; find {self.root}/lake -path '*/.part-*' -name '*.sqlite3' -exec truncate -s 100 "
                          "{} +; exit 0")
        self.assertIn("expected SHA-256", self.refused(1, "backup", PATH=path))
        self.assertEqual(self.good("backup", "list", "--remote", "lake").split()[0], "no")
        self.assertEqual([p for p in (self.root / "lake").rglob("*") if p.is_file() and ".part-" in str(p)], [])
        self.good("backup")
        self.assertEqual(len(self.names()), 2)

    def test_damage_here_is_no_fault_of_the_remote(self):
        bad = self.here / self.backup(CONTIMG_BACKUP_REMOTE="", CONTIMG_BACKUP_KEEP_DAYS="0") / "products.sqlite3"
        data = bytearray(bad.read_bytes())
        data[5000] ^= 1
        bad.write_bytes(data)
        sentence = self.refused(3, "backup", "--unless-newer", "20")
        self.assertIn(str(bad), sentence)
        self.assertEqual(self.names(), [])

    def test_nothing_there_is_replaced(self):
        name = self.backup(CONTIMG_BACKUP_REMOTE="", CONTIMG_BACKUP_KEEP_DAYS="0")
        foreign = self.there / name / "products.sqlite3"
        foreign.parent.mkdir(parents=True)
        foreign.write_bytes(b"somebody else's")
        (self.root / "lake/contimg/contimg-archive.json").write_text('{"contimg_archive": 1}\n')
        self.assertIn("holds other bytes", self.refused(3, "backup", "--unless-newer", "20"))
        self.assertEqual(foreign.read_bytes(), b"somebody else's")
        self.assertFalse((self.there / name / "SHA256SUMS").exists())

    # --- what goes there
    def test_what_its_sums_do_not_name_is_not_fetched(self):
        name = self.backup()
        (self.there / name / "evil.sh").write_text("echo never\n")
        shutil.rmtree(self.here / name)
        self.good("backup", "fetch", "latest")
        fetched = {p.name for p in (self.here / name).iterdir()}
        self.assertIn("SHA256SUMS", fetched)
        self.assertIn("products.sqlite3", fetched)
        self.assertNotIn("evil.sh", fetched)

    def test_at_an_encrypted_remote_nothing_can_be_read_and_everything_comes_back(self):
        self.add_remote("secret", type="crypt", remote="tape:crypt", password=self.obscured("one"))
        self.remotes.append({"target": "secret:contimg", "retries": 2})
        name = self.backup(CONTIMG_BACKUP_REMOTE="secret")
        raw = [path for path in (self.root / "tape").rglob("*") if path.is_file()]
        self.assertGreater(len(raw), 3)
        for path in raw:
            self.assertNotIn(name, str(path))
            self.assertNotIn("sqlite", path.name)
            self.assertNotIn(b"CREATE TABLE", path.read_bytes())
        whole = {p.name: p.read_bytes() for p in (self.here / name).iterdir()}
        shutil.rmtree(self.here / name)
        self.good("backup", "fetch", "latest", "--remote", "secret")
        self.assertEqual({p.name: p.read_bytes() for p in (self.here / name).iterdir()}, whole)

    def test_by_default_nothing_ever_goes(self):
        old = [self.aged(days) for days in (900, 800, 700, 600, 500)]
        self.backup(CONTIMG_BACKUP_KEEP_DAYS="0")
        self.assertEqual([name for name in self.names() if name in old], old)
        self.backup()  # those here go after 14 days
        self.assertEqual([name for name in self.names() if name in old], old)
        self.assertNotIn("removed", self.run_figures())

    def test_old_ones_go_by_the_rule_for_those_here(self):
        old = [self.aged(days) for days in (90, 80, 70)]
        young = [self.aged(days) for days in (20, 10)]
        self.backup(CONTIMG_BACKUP_KEEP_DAYS="0")
        foreign = {}
        for name in ("2020-01-01T000000Z", "notes", "2020-01-02T000000Z-mine"):  # no list, no name
            (self.there / name).mkdir()
            foreign[self.there / name / "SHA256SUMS"] = b"what somebody keeps here"
        foreign[self.there / old[0] / "notes.txt"] = b"beside ours"
        foreign[self.root / "lake/contimg/images.tar"] = b"an object"
        for path, data in foreign.items():
            path.write_bytes(data)
        said = self.contimg("backup", CONTIMG_BACKUP_KEEP_DAYS="0", CONTIMG_BACKUP_REMOTE_KEEP_DAYS="30")
        self.assertEqual(said.returncode, 0, said.stderr)
        for name in old:
            self.assertIn(f"removed  {name}  at lake", said.stdout)
        self.assertEqual(self.run_figures()["removed"], old)
        self.assertEqual([name for name in young if name in self.names()], young)
        self.assertFalse((self.there / old[1]).exists())
        self.assertEqual([p.name for p in (self.there / old[0]).iterdir()], ["notes.txt"])
        self.assertEqual({path: path.read_bytes() for path in foreign}, foreign)
        # Those here are old, too, and are not taken there again.
        self.good("backup", CONTIMG_BACKUP_KEEP_DAYS="0", CONTIMG_BACKUP_REMOTE_KEEP_DAYS="30")
        self.assertFalse((self.there / old[1]).exists())

    def test_the_newest_three_stay_whatever_their_age(self):
        old = [self.aged(days) for days in (90, 80, 70, 60)]
        self.good("backup", CONTIMG_BACKUP_KEEP_DAYS="0")
        names = self.names()
        self.good("backup", "--unless-newer", "20", CONTIMG_BACKUP_KEEP_DAYS="0", CONTIMG_BACKUP_REMOTE_KEEP_DAYS="1")
        self.assertEqual(self.names(), names[-3:])
        self.assertEqual(self.names()[:2], old[-2:])

    def test_nothing_goes_while_the_newest_does_not_read_back(self):
        for days in (90, 80, 70):
            self.aged(days)
        self.backup(CONTIMG_BACKUP_KEEP_DAYS="0")
        names = self.names()
        bad = self.there / names[-1] / "products.sqlite3"
        bad.write_bytes(b"?" + bad.read_bytes()[1:])
        sentence = self.refused(3, "backup", "--unless-newer", "20", CONTIMG_BACKUP_KEEP_DAYS="0",
                                CONTIMG_BACKUP_REMOTE_KEEP_DAYS="1")
        self.assertIn("no older one is removed", sentence)
        self.assertEqual(self.names(), names)

    def test_a_list_that_is_not_that_of_its_sums_protects_its_folder(self):
        old = [self.aged(days) for days in (90, 80)]
        self.aged(10)
        self.backup(CONTIMG_BACKUP_KEEP_DAYS="0")
        self.good("backup", CONTIMG_BACKUP_KEEP_DAYS="0")
        (self.there / old[0] / "backup.json").write_text('{"format": 2, "made_at": 1, "program_version": "", "databases": '
                                                         '[{"file": "../../contimg-archive.json", "version": 1, "bytes": 1, '
                                                         '"sha256": ""}], "files": []}')
        self.good("backup", CONTIMG_BACKUP_KEEP_DAYS="0", CONTIMG_BACKUP_REMOTE_KEEP_DAYS="1")
        self.assertTrue((self.there / old[0] / "SHA256SUMS").exists())
        self.assertFalse((self.there / old[1]).exists())
        self.assertTrue((self.root / "lake/contimg/contimg-archive.json").exists())

    def test_what_a_killed_run_has_begun_to_remove_is_finished(self):
        old = self.aged(90)
        self.aged(10)
        self.backup(CONTIMG_BACKUP_KEEP_DAYS="0")
        self.good("backup", CONTIMG_BACKUP_KEEP_DAYS="0")
        (self.there / old / "SHA256SUMS").unlink()
        (self.there / old / "products.sqlite3").unlink()
        self.assertNotIn(old, self.good("backup", "list", "--remote", "lake"))
        self.good("backup", CONTIMG_BACKUP_KEEP_DAYS="0", CONTIMG_BACKUP_REMOTE_KEEP_DAYS="30")
        self.assertFalse((self.there / old).exists())


if __name__ == "__main__":
    if shutil.which("rclone") is None:
        print("rclone is not installed")
        sys.exit(77)
    unittest.main()
