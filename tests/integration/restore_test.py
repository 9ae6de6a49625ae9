#!/usr/bin/python3
"""What is archived comes back: single products and many, their records from manifests alone.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/restore_test.py [-v]
"""
import json
import os
import pathlib
import shutil
import sys
import unittest

from archive_under_test import DAY, OBJECT, STAMP, ArchiveUnderTest, CountingProxy, content, product_checksum


class RestoreTest(ArchiveUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin()
        self.addCleanup(self.end)

    def test_one_of_fifty_members_is_fetched_alone(self):
        _, port = self.serve("webdav", self.root / "lake")
        proxy = CountingProxy(port)
        self.add_remote("dav", type="webdav", url=f"http://127.0.0.1:{proxy.port}", vendor="other")
        self.remotes = [{"target": "dav:contimg"}]
        paths = [self.image(f"{STAMP}.{i:02}.fits", 100000)[1] for i in range(50)]
        self.archive()
        wanted, kept = paths[31], paths[31].read_bytes()
        self.let_go(*paths)
        proxy.bytes = 0
        self.good("restore", wanted, "--apply")
        self.assertEqual(wanted.read_bytes(), kept)
        print(f"one member of 100000 bytes out of 5 MB: {proxy.bytes} bytes came from the server")
        self.assertLess(proxy.bytes, 120000)
        self.assertEqual(sum(p.exists() for p in paths), 1)
        row = self.rows("SELECT status FROM products WHERE path = ?", str(wanted))[0]
        self.assertEqual(row["status"], "present")
        states = {row["path"]: row["state"] for row in self.rows("SELECT path, state FROM purges")}
        self.assertEqual(states.pop(str(wanted)), "restored")
        self.assertEqual(set(states.values()), {"removed"})

    def many(self):
        """Sixty images of thirty groups, and what is in them."""
        paths = []
        for i in range(60):
            group = f"{DAY}T00:{i // 2:02}:03"
            paths.append(self.image(f"{group}.{i}.fits", 3000, group)[1])
        self.archive()
        kept = {path: path.read_bytes() for path in paths}
        self.let_go(*paths)
        return kept

    def test_many_come_in_one_call(self):
        kept = self.many()
        verbs = self.root / "verbs"
        path = self.watched(f"echo $1 >> {verbs}")
        self.good("restore", "--all", "--apply", PATH=path)
        self.assertEqual({path: path.read_bytes() for path in kept}, kept)
        self.assertEqual(verbs.read_text().split(), ["copy"])
        self.assertEqual({row["status"] for row in self.rows("SELECT status FROM products")}, {"present"})
        self.assertEqual(list((self.scratch / "tmp").iterdir()), [])

    def test_damage_among_many_is_that_of_one(self):
        kept = self.many()
        bad = self.root / "lake/contimg" / f"images/{DAY}/{DAY}T000003.images.tar"
        data = bytearray(bad.read_bytes())
        data[700] ^= 1  # in its first member
        bad.write_bytes(data)
        (self.root / "lake/contimg" / f"images/{DAY}/{DAY}T000103.images.tar").unlink()
        self.refused(3, "restore", "--all", "--apply")
        lost = {row["object"].split("/")[-1] for row in self.copies("lost")}
        self.assertEqual(lost, {f"{DAY}T000003.images.tar", f"{DAY}T000103.images.tar"})
        back = [path for path in kept if path.exists()]
        self.assertGreaterEqual(len(back), 56)
        self.assertTrue(all(path.read_bytes() == kept[path] for path in back))
        # It stays lost, and nobody is told that all is there.
        for words in (["restore", "--all"], ["restore", "--all", "--apply"], ["restore", "--all", "--json"]):
            self.assertIn("no whole copy any more", self.refused(3, *words))

    def test_what_does_not_come_together_comes_by_itself(self):
        kept = self.many()
        self.good("restore", "--all", "--apply", PATH=self.lying("copy", "exit 1"))
        self.assertEqual({path: path.read_bytes() for path in kept}, kept)

    def test_little_of_much_is_read_by_itself(self):
        kept = self.many()
        wanted = list(kept)[::2][:2]
        verbs = self.root / "verbs"
        big = [self.image(f"big.{i}.fits", 50000)[1] for i in range(4)]
        self.archive()
        self.let_go(*big)
        self.good("restore", big[1], "--apply", PATH=self.watched(f"echo $1 >> {verbs}"))
        self.assertEqual(verbs.read_text().split(), ["cat"])
        self.good("restore", *wanted, "--to", self.root / "look", "--apply")
        self.assertEqual([p.name for p in (self.root / "look").rglob(".*")], [])

    # --- restoring
    def test_restore_is_dry_and_writes_over_nothing(self):
        _, image = self.image()
        _, table = self.table()
        self.archive()
        self.assertIn("exists already", self.refused(2, "restore", image, "--apply"))
        self.let_go(image, table)
        self.assertIn("Nothing was changed", self.good("restore", "--group", STAMP))
        self.assertFalse(image.exists())
        image.write_bytes(b"something else")
        self.assertIn("something else", self.refused(2, "restore", image, "--apply"))
        self.assertEqual(image.read_bytes(), b"something else")
        image.unlink()
        elsewhere = self.root / "elsewhere"
        self.good("restore", "--group", STAMP, "--to", elsewhere, "--apply")
        self.assertEqual(product_checksum(elsewhere / "output/calibrators" / DAY / table.name),
                         self.rows("SELECT checksum FROM products WHERE path = ?", str(table))[0]["checksum"])
        self.assertFalse(image.exists())
        self.assertEqual({row["status"] for row in self.rows("SELECT status FROM products")}, {"archived"})
        self.refused(2, "restore", "999")
        self.refused(2, "restore", "--group", "nothing")
        self.refused(2, "restore")
        self.assertFalse((table / "table.lock").exists())

    def test_times_of_files_come_back(self):
        _, image = self.image()
        os.utime(image, (1_700_000_000, 1_700_000_000))
        self.archive()
        self.let_go(image)
        self.good("restore", image, "--apply")
        self.assertEqual(image.stat().st_mtime, 1_700_000_000)

    # --- records from nothing
    def test_records_are_made_anew_from_manifests_alone(self):
        parent, image = self.image()
        _, picture = self.image("derived.fits", parents=[parent])
        _, table = self.table()
        self.archive()
        kept = content(image), content(picture), content(table)
        self.lose_the_state()
        image.unlink()
        shutil.rmtree(table)
        self.contimg("archive", "list", "--rebuild")
        self.assertIn("recorded 2 objects with 3 products", self.good("archive", "list", "--rebuild", "--apply"))
        states = {pathlib.Path(row["path"]).name: row["status"] for row in self.rows("SELECT * FROM products")}
        self.assertEqual(states, {image.name: "archived", picture.name: "present", table.name: "archived"})
        lineage = self.rows("SELECT c.path AS child, p.path AS parent FROM lineage l JOIN products c ON c.id = l.child_id"
                            " JOIN products p ON p.id = l.parent_id")
        self.assertEqual(lineage, [{"child": str(picture), "parent": str(image)}])
        row = self.rows("SELECT * FROM products WHERE path = ?", str(image))[0]
        self.assertEqual((row["group_id"], row["kind"], row["qa_grade"]), (STAMP, "image.pbcor", "A"))
        self.good("restore", "--group", STAMP, "--apply")
        self.assertEqual((content(image), content(picture), content(table)), kept)
        self.assertIn("0 objects", self.good("archive", "list", "--rebuild", "--apply"))
        self.archive()  # reads what is only copied
        self.assertEqual(len(self.copies()), 2)

    def test_manifests_that_are_none(self):
        """Each is one sentence and keeps the others from nothing; nothing is ever written outside the tree."""
        self.image()
        self.archive()
        good = self.manifest(OBJECT)
        cases = {"format": {**good, "format": 3}, "outside": {**good}, "sizes": {**good, "bytes": 17}, "types": {"format": 1}}
        for name, value in cases.items():
            copy = json.loads(json.dumps(value))
            copy["object"] = OBJECT.replace("132803", name)
            if name == "outside":
                copy["members"][0]["path"] = "../../../../etc/contimg-was-here"
            file = self.root / "lake/contimg" / copy["object"]
            shutil.copy(self.root / "lake/contimg" / OBJECT, file)
            pathlib.Path(f"{file}.json").write_text(json.dumps(copy))
        broken = self.root / "lake/contimg" / OBJECT.replace("132803", "text")
        shutil.copy(self.root / "lake/contimg" / OBJECT, broken)
        pathlib.Path(f"{broken}.json").write_text("{")
        self.lose_the_state()
        done = self.contimg("archive", "list", "--rebuild", "--apply", "--json")
        self.assertEqual(done.returncode, 3, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual((result["objects"], len(result["failures"])), (1, 5))
        errors = {failure["subject"].split("/")[-1].split(".")[0]: failure["error"] for failure in result["failures"]}
        self.assertIn("expected a manifest of format 1 or 2, found 3", errors["2025-10-13Tformat"])
        self.assertIn("leads out of its tree", errors["2025-10-13Toutside"])
        self.assertIn("does not fit into the object", errors["2025-10-13Tsizes"])
        self.assertIn("expected a manifest of format 1 or 2", errors["2025-10-13Ttypes"])
        self.assertIn("expected a manifest of format 1 or 2", errors["2025-10-13Ttext"])
        self.assertEqual(self.rows("SELECT count(*) AS n FROM archives")[0]["n"], 1)


if __name__ == "__main__":
    if shutil.which("rclone") is None:
        print("rclone is not installed")
        sys.exit(77)
    unittest.main()
