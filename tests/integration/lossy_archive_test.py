#!/usr/bin/python3
"""archive.images = rice: images go lossy, that is said everywhere, and they count for nothing that needs the original.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/lossy_archive_test.py [-v]
"""
import hashlib
import io
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import unittest

import numpy as np
from astropy.io import fits

from archive_under_test import DAY, OBJECT, SOURCE, STAMP, ArchiveUnderTest, content, product_checksum
from daemon_under_test import DaemonUnderTest, simulate

SCHEMA = SOURCE / "docs/formats/archive-manifest.schema.json"
RICE = {"CONTIMG_ARCHIVE_IMAGES": "rice"}
SIGMA = 1e-3


def pixels(seed=1, shape=(1, 1, 400, 440)):
    """Noise, a source, blanks in one corner and in the middle, a row of zeros."""
    data = np.random.default_rng(seed).normal(0, SIGMA, shape).astype("f4")
    data[..., 150, 160] = 3
    data[..., :80, :90] = np.nan
    data[..., 300:310, 30:60] = np.nan
    data[..., 212, :] = 0
    return data


def fits_file(data):
    hdu = fits.PrimaryHDU(data)
    hdu.header["BUNIT"] = "Jy/beam"
    hdu.header["CTYPE1"], hdu.header["CTYPE2"] = "RA---SIN", "DEC--SIN"
    hdu.header["HISTORY"] = "made by hand"
    out = io.BytesIO()
    hdu.writeto(out)
    return out.getvalue()


class LossyArchiveTest(ArchiveUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin()
        self.addCleanup(self.end)

    def lossy_image(self, name=f"{STAMP}.image.pbcor.fits", seed=1):
        data = pixels(seed)
        _, path = self.image(name, data=fits_file(data))
        return path, data

    def check_pixels(self, file, data):
        """By astropy: blanks where they were, zeros zeros, everything else within half a step; the cards."""
        with fits.open(file) as opened:
            again, header = opened[1].data, opened[1].header
        with fits.open(file, disable_image_compression=True) as opened:
            pieces = opened[1].data["ZSCALE"].reshape(data.shape[2], -1)
            self.assertEqual(opened[1].header["ZDITHER0"], 1)
            self.assertIn(opened[1].header["ZCMPTYPE"], ("RICE_1", "RICE_ONE"))
        data = data[0, 0]
        np.testing.assert_array_equal(np.isnan(again), np.isnan(data))
        np.testing.assert_array_equal(again[212], 0)
        self.assertEqual((header["BUNIT"], header["CTYPE1"]), ("Jy/beam", "RA---SIN"))
        self.assertIn("made by hand", str(header["HISTORY"]))
        steps = np.kron(pieces, np.ones((1, 128)))[:, :data.shape[1]]
        off = np.abs(again.astype("f8") - data) - steps / 2 - 1e-6 * np.abs(data)
        self.assertLessEqual(np.nanmax(off), 0)
        self.assertGreater(np.nanmax(np.abs(again - data)), 0)
        self.assertLess(steps.max(), SIGMA / 16 * 2)
        return steps.max()

    def test_images_are_smaller_and_everything_else_is_as_it_is(self):
        path, data = self.lossy_image()
        others = {f"{STAMP}.model.fits": fits_file(np.arange(40000, dtype="i4").reshape(200, 200)),
                  f"{STAMP}.psf.fits": fits_file(np.random.default_rng(2).normal(0, 1, (200, 200))),  # 64-bit
                  f"{STAMP}.cube.fits": fits_file(np.random.default_rng(3).normal(0, 1, (3, 90, 90)).astype("f4")),
                  f"{STAMP}.text.fits": b"no image at all", f"{STAMP}.empty.fits": fits_file(None)}
        for name, data_of in others.items():
            self.image(name, data=data_of)
        folder = self.scratch / "images/single" / DAY / f"{STAMP}.image"
        folder.mkdir()
        (folder / "table.f0").write_bytes(path.read_bytes())
        self.record(folder, kind="image")
        _, table = self.table()
        self.archive(**RICE)
        object_bytes = (self.root / "lake/contimg" / OBJECT).read_bytes()
        manifest = self.manifest(OBJECT)
        self.assertEqual((manifest["lossy"], manifest["format"]), (True, 2))
        by_name = {member["path"].split("/")[-1]: member for member in manifest["members"]}
        self.assertEqual([name for name, member in by_name.items() if "lossy" in member], [path.name])
        member = by_name[path.name]
        with tarfile.open(fileobj=io.BytesIO(object_bytes)) as tar:
            names = [each.name.split("/", 1)[1] for each in tar.getmembers()]
            self.assertIn(f"single/{DAY}/{path.name}.fz", names)
            self.assertNotIn(f"single/{DAY}/{path.name}", names)
            for name, data_of in others.items():
                self.assertEqual(tar.extractfile(f"images/single/{DAY}/{name}").read(), data_of)
            self.assertEqual(tar.extractfile(f"images/single/{DAY}/{folder.name}/table.f0").read(), path.read_bytes())
            stored = tar.extractfile(f"images/single/{DAY}/{path.name}.fz").read()
        file = self.root / "stored.fits.fz"
        file.write_bytes(stored)
        step = self.check_pixels(file, data)
        self.assertLess(len(stored), path.stat().st_size / 3)
        lossy = member["lossy"]
        self.assertEqual((lossy["quantum"], lossy["dither_seed"], lossy["codec"]), (16, 1, "rice"))
        self.assertAlmostEqual(lossy["largest_step"], step)
        self.assertEqual(lossy["original_sha256"], hashlib.sha256(path.read_bytes()).hexdigest())
        self.assertEqual((lossy["original_bytes"], member["size_bytes"]), (path.stat().st_size,) * 2)
        self.assertEqual(member["sha256"], hashlib.sha256(stored).hexdigest())
        self.assertEqual(object_bytes[member["offset"]:member["offset"] + member["bytes"]], stored)
        self.assertFalse(self.manifest(OBJECT.replace("images", "caltables"))["lossy"])
        try:
            import jsonschema
            jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(manifest)
        except ImportError:
            print("no jsonschema")
        if shutil.which("funpack"):
            subprocess.run(["funpack", "-O", self.root / "plain.fits", file], check=True)
            np.testing.assert_array_equal(fits.getdata(self.root / "plain.fits"), fits.getdata(file))
        self.assertIn("lossy", self.good("archive", "show", OBJECT))
        self.assertIn("steps of 1/16 of the noise", self.good("archive", "show", OBJECT))
        self.assert_at_rest()
        self.assertEqual(self.archive(**RICE)["objects"], 0, "a lossy copy is what was asked for")

    def test_the_same_products_give_the_same_bytes(self):
        self.lossy_image()
        self.archive(**RICE)
        first = (self.root / "lake/contimg" / OBJECT).read_bytes()
        for row in ("archive_members", "archives"):
            self.rows(f"DELETE FROM {row}")
        shutil.rmtree(self.root / "lake/contimg")
        self.archive(**RICE)
        self.assertEqual((self.root / "lake/contimg" / OBJECT).read_bytes(), first)

    def test_it_is_no_copy_of_the_original(self):
        path, _ = self.lossy_image()
        folder = self.scratch / "images/single" / DAY / f"{STAMP}.image"
        folder.mkdir()
        (folder / "table.f0").write_bytes(b"lossless" * 1000)
        self.record(folder, kind="image")
        self.archive(**RICE)
        cleanup = ("cleanup", "--image-retention-days", "1", "--json", "--force", "--apply")
        left = json.loads(self.good(*cleanup, **RICE))
        self.assertEqual([pathlib.Path(each["path"]).name for each in left["actions"]], [folder.name])
        self.assertTrue(path.exists())
        left = json.loads(self.good(*cleanup, **RICE, CONTIMG_RETENTION_REQUIRE_IMAGES="none"))
        self.assertEqual([each["path"] for each in left["actions"]], [str(path)])
        states = {row["path"]: row["status"] for row in self.rows("SELECT path, status FROM products")}
        self.assertEqual(states, {str(path): "removed", str(folder): "archived"})

    def test_lossless_again_makes_the_copies_that_are_wanted(self):
        self.lossy_image()
        self.archive(**RICE)
        self.assertIn("1 product on disk", self.good("archive", "list"))
        self.assertIn("0 products on disk", self.good("archive", "list", **RICE))
        self.archive()
        self.assertEqual([(row["object"], row["lossy"]) for row in self.copies()],
                         [(OBJECT, 1), (OBJECT.replace(".tar", ".2.tar"), 0)])
        self.assertEqual(self.archive(**RICE)["objects"], 0)

    def test_what_comes_back_says_what_it_is(self):
        path, data = self.lossy_image()
        original = self.rows("SELECT * FROM products")[0]
        self.archive(**RICE)
        self.refused(2, "restore", path, "--apply")  # while the original is there
        self.let_go(path)
        self.rows("UPDATE products SET status = 'removed'")
        back = pathlib.Path(f"{path}.fz")
        self.assertIn("(lossy)", self.good("restore", path))
        self.assertFalse(back.exists())
        elsewhere = self.root / "look"
        self.assertIn("lossy", self.good("restore", path, "--to", elsewhere, "--apply"))
        self.check_pixels(elsewhere / "images/single" / DAY / back.name, data)
        self.assertEqual(len(self.rows("SELECT * FROM products")), 1)
        said = self.good("restore", "--group", STAMP, "--apply")
        self.assertIn("1 of them is lossy", said)
        self.assertIn("steps of 1/16 of the noise", said)
        self.assertFalse(path.exists())
        self.check_pixels(back, data)
        rows = {row["path"]: row for row in self.rows("SELECT * FROM products")}
        self.assertEqual(rows[str(path)]["status"], "removed")
        self.assertEqual(rows[str(path)]["checksum"], original["checksum"])
        new = rows[str(back)]
        self.assertEqual((new["status"], new["kind"], new["group_id"]), ("present", original["kind"], STAMP))
        self.assertEqual(json.loads(new["qa_json"])["lossy"]["quantum"], 16)
        self.assertEqual(self.rows("SELECT child_id, parent_id FROM lineage"),
                         [{"child_id": new["id"], "parent_id": original["id"]}])
        run = self.rows("SELECT figures_json FROM maintenance_runs WHERE kind = 'restore' ORDER BY id DESC LIMIT 1",
                        database="operations")[0]
        self.assertEqual(json.loads(run["figures_json"])["lossy"], 1)
        self.good("verify", "--share", "1")
        # It has its copy already; as what it is it may go by the common rule, and come back bit for bit.
        self.assertEqual(self.archive(**RICE)["objects"], 0)
        self.assertEqual(self.archive()["objects"], 0)
        kept = content(back)
        self.let_go(back)
        self.assertNotIn("lossy", self.good("restore", "--group", STAMP, "--apply"))
        self.assertEqual(content(back), kept)
        self.assertIn("restored 0 products", self.good("restore", "--group", STAMP, "--apply"))

    def test_a_lossless_copy_comes_first_and_a_lossy_one_serves_when_it_is_lost(self):
        path, data = self.lossy_image()
        kept = content(path)
        self.archive(**RICE)
        self.archive()
        self.let_go(path)
        self.assertNotIn("lossy", self.good("restore", path, "--apply"))
        self.assertEqual(content(path), kept)
        self.let_go(path)
        (self.root / "lake/contimg" / OBJECT.replace(".tar", ".2.tar")).unlink()
        self.assertIn("1 of them is lossy", self.good("restore", path, "--apply"))
        self.check_pixels(pathlib.Path(f"{path}.fz"), data)

    def test_after_the_loss_of_the_state_it_is_known_as_lossy(self):
        path, data = self.lossy_image()
        checksum = self.rows("SELECT checksum FROM products")[0]["checksum"]
        self.archive(**RICE)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.unlink()
        self.lose_the_state()
        self.good("archive", "list", "--rebuild", "--apply")
        row = self.rows("SELECT * FROM products")[0]
        self.assertEqual((row["status"], row["checksum"], row["sha256"]), ("removed", checksum, digest))
        self.assertEqual(self.rows("SELECT lossy FROM archive_members"), [{"lossy": 1}])
        self.good("restore", "--group", STAMP, "--apply")
        self.check_pixels(pathlib.Path(f"{path}.fz"), data)

    def test_a_second_remote_gets_it_from_the_first(self):
        path, _ = self.lossy_image()
        self.archive(**RICE)
        self.let_go(path)
        self.rows("UPDATE products SET status = 'removed'")
        self.remotes.append({"target": "tape:contimg"})
        self.assertEqual(self.archive(**RICE)["replicas"], 1)
        self.assertEqual({row["lossy"] for row in self.copies(remote="tape")}, {1})
        self.good("restore", path, "--remote", "tape", "--apply")

    def test_killed_between_name_and_record_it_is_recorded_the_next_time(self):
        path, _ = self.lossy_image()
        self.archive(**RICE)
        self.let_go(path)
        self.good("restore", path, "--to", self.root / "look", "--apply")
        back = pathlib.Path(f"{path}.fz")
        shutil.copy(self.root / "look/images/single" / DAY / back.name, back)
        self.good("restore", path, "--apply")
        self.assertEqual(self.rows("SELECT status FROM products WHERE path = ?", str(back)), [{"status": "present"}])
        self.rows("DELETE FROM lineage")
        self.rows("DELETE FROM archive_members WHERE product_id = 2")
        self.rows("DELETE FROM products WHERE id = 2")
        back.write_bytes(b"something else")
        self.assertIn("something else", self.refused(2, "restore", path, "--apply"))
        self.assertEqual(back.read_bytes(), b"something else")


class LiveLossyArchiveTest(DaemonUnderTest, unittest.TestCase):
    """With what a real daemon made."""

    def test_the_original_can_be_made_again(self):
        pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        self.addCleanup(shutil.rmtree, pool)
        self.addCleanup(shutil.rmtree, f"{pool}-truth")
        stamp, = simulate(pool, "--antennas", 6, "--integrations", 2, "--channels", 4)
        self.begin("lossy", CONTIMG_CALIBRATE_POLICY="uncalibrated", CONTIMG_IMAGE_SIZE="256",
                   CONTIMG_IMAGE_CELL_ARCSEC="20", CONTIMG_IMAGE_MIN_UV_LAMBDA="0", CONTIMG_ARCHIVE_AFTER_DAYS="0",
                   CONTIMG_ARCHIVE_IMAGES="rice")
        self.addCleanup(self.end)
        self.environment["CONTIMG_ARCHIVE_REMOTES"] = f'[{{name = "lake", target = "{self.root}/lake", classes = "images"}}]'
        self.start()
        self.send(stamp, pool=pool)
        self.becomes(stamp, "done")
        self.answer("archive", "--apply")
        images = {pathlib.Path(row["path"]): row["checksum"]
                  for row in self.read("products", "list", "--all", "--group", stamp)
                  if row["path"].endswith(".fits") and row["kind"] not in ("photometry", "sources")}
        object_file = next(pathlib.Path(self.root / "lake").rglob("*.images.tar.json"))
        lossy = {member["path"].split("/")[-1]: member["lossy"]["largest_step"]
                 for member in json.loads(object_file.read_text())["members"] if "lossy" in member}
        image = next(path for path in images if path.name.endswith(".image.fits"))
        self.assertIn(image.name, lossy)
        before = {path: fits.getdata(path).squeeze() for path in images}
        for path in images:
            path.unlink()
        connection = sqlite3.connect(self.root / "state/products.sqlite3", timeout=30)
        with connection:
            connection.execute("UPDATE products SET status = 'removed' WHERE path LIKE '%.fits' "
                               "AND kind NOT IN ('photometry', 'sources')")
        connection.close()
        self.assertIn("lossy", self.answer("restore", "--group", stamp, "--apply"))
        for path, data in before.items():
            if path.name in lossy:
                self.assertFalse(path.exists())
                again = fits.getdata(f"{path}.fz")
                np.testing.assert_array_equal(np.isnan(again), np.isnan(data))
                off = np.nanmax(np.abs(again - data.astype("f8")) - 1e-6 * np.abs(data))
                self.assertLessEqual(off, lossy[path.name] / 2)
            else:
                np.testing.assert_array_equal(fits.getdata(path).squeeze(), data)
        self.assertIn("are equal", self.answer("products", "reproduce", image))
        again = self.root / "again"
        self.answer("products", "reproduce", f"{image}.fz", "--dir", again, "--keep")
        self.assertEqual(product_checksum(again / "images" / image.name), images[image])


if __name__ == "__main__":
    if shutil.which("rclone") is None:
        print("rclone is not installed")
        sys.exit(77)
    unittest.main()
