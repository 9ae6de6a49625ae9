"""A made-up flat tree, as another installation leaves it: a few real products, made once and given other times where they
hold them, under thousands of names; and things that are in trouble, each in its own way."""
import datetime
import os
import pathlib
import shutil
import struct
import subprocess

from daemon_under_test import BIN, simulate

SOURCE_3C286 = "202.7845,30.5092"
ARRAY = ["--antennas", "8", "--integrations", "4", "--channels", "4", "--subbands", "2", "--transit", SOURCE_3C286,
         "--source", f"{SOURCE_3C286},15"]
OLD = 1_600_000_000  # when everything was changed last, seconds since 1970
PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
MJD_1970 = 40587


def stamp_of(unix_s):
    return datetime.datetime.fromtimestamp(unix_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def unix_of(stamp):
    return datetime.datetime.fromisoformat(stamp + "+00:00").timestamp()


class Originals:
    """One tile as Measurement Set, tables and images, and their time."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "state").mkdir(parents=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        self.environment.update(CONTIMG_STATE_DIR=str(self.folder / "state"), CONTIMG_SCRATCH_DIR=str(self.folder))
        (stamp,) = simulate(self.folder / "sky", *ARRAY)
        self.unix_s = unix_of(stamp)
        self.subbands = sorted((self.folder / "sky").glob("*.hdf5"))
        self.run("convert", *self.subbands, "--out", self.folder / "x.ms")
        self.run("solve", self.folder / "x.ms", "--out", self.folder / "x", "--calibrator", "3C286")
        self.run("image", self.folder / "x.ms", "--out", self.folder / "x", "--niter", "0", "--set", "image.size=64",
                 "--set", "image.cell_arcsec=12", "--set", "image.min_uv_lambda=0")
        self.images = {path.name.removeprefix("x."): path.read_bytes() for path in self.folder.glob("x.*.fits")}

    def run(self, *words):
        done = subprocess.run([BIN / "contimg", "--quiet", *map(str, words)], env=self.environment, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr

    def shifted(self, content, shift_s):
        """Every double in it that is a time of the tile, moved."""
        low = self.unix_s + MJD_1970 * 86400 - 1000
        data, at = bytearray(content), 0
        while at + 8 <= len(data):
            for order in ("<d", ">d"):
                (value,) = struct.unpack_from(order, data, at)
                if low < value < low + 2000:
                    struct.pack_into(order, data, at, value + shift_s)
                    at += 7
                    break
            at += 1
        return bytes(data)

    def table(self, name, to, stamp, holds_times):
        """A copy of a table; what holds no times is shared by hard links."""
        shift_s = unix_of(stamp) - self.unix_s
        for where, folders, files in os.walk(self.folder / name):
            below = to / os.path.relpath(where, self.folder / name)
            below.mkdir(parents=True, exist_ok=True)
            for file in files:
                source = pathlib.Path(where) / file
                relative = str(source.relative_to(self.folder / name))
                if holds_times(relative):
                    if (relative, shift_s) not in self.cache(name):
                        self.cache(name)[relative, shift_s] = self.shifted(source.read_bytes(), shift_s)
                    (below / file).write_bytes(self.cache(name)[relative, shift_s])
                else:
                    os.link(source, below / file)

    def cache(self, name):
        return self.__dict__.setdefault("caches", {}).setdefault(name, {})

    def measurement_set(self, to, stamp):
        self.table("x.ms", to, stamp, lambda name: name.startswith("OBSERVATION/table.f"))

    def cal_table(self, kind, to, stamp):
        self.table(f"x.{kind}", to, stamp, lambda name: "/" not in name and name.startswith("table.f"))

    def image(self, kind, to, stamp):
        content = bytearray(self.images[kind])
        shift_days = (unix_of(stamp) - self.unix_s) / 86400
        at = 0
        while content[at:at + 8] != b"END     ":
            card = content[at:at + 80].decode()
            if card[:8] in ("MJD-OBS ", "MJD-BEG ", "MJD-AVG ", "MJD-END "):
                value = float(card[10:].split("/")[0]) + shift_days
                content[at:at + 80] = f"{card[:8]}= {value:>20.9f}".ljust(80).encode()
            at += 80
        to.write_bytes(content)


def make_flat_tree(originals, root, tiles, subband_tiles):
    """`tiles` groups with all their products and `subband_tiles` with input files; gives the number of things that
    have a place. Every third tile was solved, every seventh is called by its calibrator."""
    root = pathlib.Path(root)
    for folder in ("ms", "images", "incoming"):
        (root / folder).mkdir(parents=True)
    n = 0
    for i in range(tiles):
        stamp = stamp_of(originals.unix_s - 40 * 86400 + 309 * i)
        solved = i % 5 == 0
        name = f"0834_555_{i}_transit" if i % 7 == 3 else stamp
        originals.measurement_set(root / "ms" / f"{name}.ms", stamp)
        n += 1
        if solved:
            for kind in ("kcal", "bpcal", "gpcal"):
                originals.cal_table(kind, root / "ms" / f"{stamp}_24h.{kind}", stamp)
                n += 1
        for kind in originals.images:
            originals.image(kind, root / "images" / f"{stamp}.{kind}", stamp)
            n += 1
        (root / "images" / f"{stamp}.qa.png").write_bytes(PNG)
        (root / "images" / f"{stamp}.metrics.json").write_text('{"quality": {"grade": "B"}}')
        n += 2
    if subband_tiles:
        stamps = simulate(root / "incoming", "--subbands", "2", "--antennas", "4", "--integrations", "2", "--channels", "4",
                          "--tiles", subband_tiles)
        shutil.rmtree(f"{root}/incoming-truth")
        n += 2 * len(stamps)
    return n


def add_troubles(originals, root):
    """Thing → what is said of it."""
    root = pathlib.Path(root)
    images, sets = root / "images", root / "ms"
    first = sorted(images.glob("*.image.fits"))[0]
    stamp = "2024-01-01T00:00:00"
    said = {}

    def trouble(path, words, content=b""):
        path.parent.mkdir(exist_ok=True)
        if not path.exists() and not path.is_symlink():
            path.write_bytes(content)
        said[str(path.relative_to(root))] = words
        return path

    # 1: another image for the place of one that is here
    trouble(images / "again" / first.name, "are not the same and belong in one place",
            first.read_bytes() + bytes(2880))
    said[str(first.relative_to(root))] = "are not the same and belong in one place"
    # 2: a name of another time
    originals.image("image.fits", images / "2024-01-02T00:00:00.image.fits", stamp)
    trouble(images / "2024-01-02T00:00:00.image.fits", "is called 2024-01-02T00:00:00 and holds data of 2024-01-01T00:00:00")
    originals.measurement_set(sets / "2024-01-03T00:00:00.ms", stamp)
    trouble(sets / "2024-01-03T00:00:00.ms", "is called 2024-01-03T00:00:00 and holds data of 2024-01-01T00:00:00")
    # 3: a table of another kind
    originals.cal_table("kcal", sets / f"{stamp}_24h.gpcal", stamp)
    trouble(sets / f"{stamp}_24h.gpcal", "is called .gpcal and holds solutions of the kind K")
    # 4: cut short
    trouble(images / f"{stamp}.psf.fits", "cannot", originals.images["psf.fits"][:3000])
    trouble(root / "incoming" / f"{stamp}_sb00.hdf5", "", originals.subbands[0].read_bytes()[:2000])
    # 5: copied in part
    (sets / "2024-01-04T00:00:00.ms").mkdir()
    trouble(sets / "2024-01-04T00:00:00.ms", "has no table.dat and table.info")
    # 6: damaged within
    originals.measurement_set(sets / "2024-01-05T00:00:00.ms", "2024-01-05T00:00:00")
    damaged = sets / "2024-01-05T00:00:00.ms/table.dat"
    content = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content[:100])
    trouble(sets / "2024-01-05T00:00:00.ms", "")
    # 7: nothing in it
    trouble(images / "2024-01-06T00:00:00.image.fits", "is empty")
    # 8: not what it is called
    trouble(images / "2024-01-06T00:00:00.qa.png", "is not what it is called", b"<html>")
    # 9: a link inside
    originals.measurement_set(sets / "2024-01-07T00:00:00.ms", "2024-01-07T00:00:00")
    (sets / "2024-01-07T00:00:00.ms/ELSEWHERE").symlink_to("/data/elsewhere")
    trouble(sets / "2024-01-07T00:00:00.ms", "holds a link, ELSEWHERE")
    # 10: still written
    originals.image("image.fits", images / "2024-01-08T00:00:00.image.fits", "2024-01-08T00:00:00")
    trouble(images / "2024-01-08T00:00:00.image.fits", "may still be written")
    # 11: neither file nor folder
    os.mkfifo(root / "pipe")
    trouble(root / "pipe", "is neither file nor folder")
    # 12: a FITS file of no kind
    originals.image("image.fits", images / "picture of the sky\n\u2202.fits", stamp)
    trouble(images / "picture of the sky\n\u2202.fits", "does not say which image of a group it is")
    # What is no product, and what is somebody's own, stays without being a trouble.
    (root / "notes.txt").write_text("hello")
    (root / ".hidden").write_text("hello")
    (root / "ms" / "latest.ms").symlink_to(sorted(sets.glob("*.ms"))[-1].name)
    return said


def grow_old(root, but=()):
    """Odd times to the nanosecond, and modes that are not the usual ones."""
    for i, (where, folders, files) in enumerate(os.walk(root, topdown=False)):
        for k, name in enumerate(files + folders + ([""] if where == str(root) else [])):
            path = os.path.join(where, name) if name else where
            if path in but:
                continue
            if name in files and k % 11 == 0 and not os.path.islink(path):
                os.chmod(path, 0o440)
            os.utime(path, ns=(OLD * 10**9, OLD * 10**9 + i * 1000 + k), follow_symlinks=False)
