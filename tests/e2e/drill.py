#!/usr/bin/python3
"""The disaster drill: a machine is lost with its disks, and what is left is the programs, /etc/contimg and the remote.

Two bare roots of Debian 12 play the two machines. On the first contimg is installed and takes a simulated drift scan, with
an archive and backups at a remote (a folder that both roots see); then it is removed. On the second the commands of
docs/operations/install.md and docs/operations/disaster.md are carried out in order, as they stand there. Compared are
products, lineage and bytes; a group is processed again, and an image is reproduced bit for bit.

    ./run drill [--base ROOT] [--work DIR] [--keep]

Needs root (chroot, mounts in a name space of its own), and debootstrap or a root that it has made (--base); packages come
from Debian's mirror. systemctl is played by a stand-in that starts and stops the real daemon as the unit's user.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
INSTALL, DISASTER = (SOURCE / f"docs/operations/{name}.md" for name in ("install", "disaster"))
LOST = "State and scratch are gone"
BARE = "A machine that builds nothing"
SOURCE_3C286 = "202.7845,30.5092"
ARRAY = ["--antennas", "16", "--integrations", "6", "--channels", "4", "--subbands", "4", "--transit", SOURCE_3C286,
         "--source", f"{SOURCE_3C286},15", "--source", "203.2,30.7,1", "--tiles", "2"]
SETTINGS = {  # of a small array, and of this site
    "CONTIMG_INGEST_EXPECTED_SUBBANDS": "4", "CONTIMG_INGEST_STABLE_S": "0.3", "CONTIMG_IMAGE_SIZE": "256",
    "CONTIMG_IMAGE_CELL_ARCSEC": "12", "CONTIMG_IMAGE_MAX_ITERATIONS": "50", "CONTIMG_IMAGE_MIN_UV_LAMBDA": "0",
    "CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA": "0", "CONTIMG_HTTP_LISTEN": "127.0.0.1:0",
    "CONTIMG_DISK_WARN_FREE_BYTES": "1000000", "CONTIMG_DISK_CRITICAL_FREE_BYTES": "500000",
    "CONTIMG_DISK_WARN_USED_FRACTION": "0.999", "CONTIMG_DISK_CRITICAL_USED_FRACTION": "0.9999",
    "CONTIMG_DISK_STAGING_WARN_USED_FRACTION": "0.999", "CONTIMG_DISK_STAGING_CRITICAL_USED_FRACTION": "0.9999",
    "CONTIMG_BACKUP_DIR": "/data/contimg/backups", "CONTIMG_BACKUP_EVERY_H": "0", "CONTIMG_BACKUP_REMOTE": "lake",
    "CONTIMG_ARCHIVE_AFTER_DAYS": "0",
    "CONTIMG_ARCHIVE_REMOTES": '[{target = "lake:", classes = "incoming,science_ms,caltables,images,qa"}]'}
SYSTEMCTL = """#!/bin/bash
# A stand-in: the machine has no systemd running.
unit=${2:-}
case $1 in
  daemon-reload|enable) exit 0;;
  stop) pid=$(cat /run/contimg.pid 2>/dev/null) || exit 0
        kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done; rm /run/contimg.pid;;
  start) [ "$unit" = contimg-stream ] || exit 0
         set -a; . /etc/contimg/contimg.env; set +a
         setsid setpriv --reuid contimg --regid contimg --init-groups /usr/local/bin/contimg-stream \\
             </dev/null >>/var/log/contimg.log 2>&1 &
         echo $! >/run/contimg.pid
         for i in $(seq 300); do grep -q : $CONTIMG_STATE_DIR/contimg-stream.lock 2>/dev/null && exit 0; sleep 0.1; done
         exit 1;;
esac
"""
ENTER = """
root=$0; mount --make-rprivate /
mount -t proc proc $root/proc; mount --rbind /dev $root/dev; mount -t tmpfs tmpfs $root/dev/shm
mount -t tmpfs tmpfs $root/run; mount -t tmpfs tmpfs $root/tmp
mkdir -p $root/lake $root/out $root/sky
mount --bind "$1" $root/lake; mount --bind "$2" $root/out; mount --bind "$3" $root/sky
cp -L /etc/resolv.conf $root/etc/resolv.conf
exec chroot $root env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \\
    DEBIAN_FRONTEND=noninteractive http_proxy="$http_proxy" https_proxy="$https_proxy" bash /script
"""


def blocks(page):
    """Heading → its text; what stands before the first has the heading ''."""
    found, heading = {}, ""
    for part in re.split(r"(?m)^## ", page.read_text()):
        heading, _, text = part.partition("\n") if found else ("", "", part)
        found[heading] = text
    return found


def fenced(text):
    return [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text) for line in block.splitlines() if line]


def indented(text, by):
    """Commands of the page; one that ends in a backslash goes on."""
    text = "\n".join(line for line in text.splitlines() if re.match(rf" {{{by}}}\S| {{{by + 2}}}", line))
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


class Drill:
    def __init__(self, args):
        self.bin, self.work = pathlib.Path(args.bin).resolve(), pathlib.Path(args.work).resolve()
        self.base = pathlib.Path(args.base).resolve() if args.base else self.work / "base"
        self.lake, self.out, self.sky = (self.work / name for name in ("lake", "out", "sky"))
        self.took = {}

    def say(self, words):
        print(f"== {words}", flush=True)

    @contextlib.contextmanager
    def timed(self, what):
        self.say(what)
        begun = time.monotonic()
        yield
        self.took[what] = time.monotonic() - begun

    def prepare(self):
        for name in ("lake", "out", "sky", "one", "two", "kept", "programs"):
            shutil.rmtree(self.work / name, ignore_errors=True)
        for folder in (self.lake, self.out, self.sky, self.work / "programs"):
            folder.mkdir(parents=True)
        self.lake.chmod(0o777)
        self.out.chmod(0o777)
        if not (self.base / "etc/debian_version").exists():
            self.say(f"a bare root of Debian 12 in {self.base}")
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", self.base], check=True,
                           stdout=subprocess.DEVNULL)
        subprocess.run([self.bin / "contimg", "simulate", "--out", self.sky, "--truth", self.work / "truth", "--quiet",
                        *ARRAY], check=True)
        self.stamps = sorted({path.name.split("_sb")[0] for path in self.sky.glob("*.hdf5")})
        # What install.md says to keep of the machine that builds.
        for command in indented(blocks(INSTALL)[BARE].split("There:")[0], 4):
            subprocess.run(["bash", "-ec", command.replace("build/release", str(self.bin.parent))],
                           cwd=self.work / "programs", check=True, stdout=subprocess.DEVNULL)

    def machine(self, name):
        root = self.work / name
        subprocess.run(["cp", "-a", "--reflink=auto", self.base, root], check=True)
        # The two live for minutes: dpkg need not sync each file.
        (root / "etc/dpkg/dpkg.cfg.d/drill").write_text("force-unsafe-io\n")
        stub = root / "usr/local/sbin/systemctl"
        stub.write_text(SYSTEMCTL)
        stub.chmod(0o755)
        shutil.copy(next((self.work / "programs").glob("*.tar.gz")), root / "root")
        return root

    def inside(self, root, script):
        """In one life of the machine: what it has started ends with it."""
        (root / "script").write_text("set -e\ncd /root\n" + script)
        done = subprocess.run(["unshare", "-m", "-p", "-f", "--kill-child", "bash", "-ec", ENTER, root, self.lake, self.out,
                               self.sky], capture_output=True, text=True, check=False, timeout=3000)
        if done.returncode != 0:
            log = root / "var/log/contimg.log"
            sys.exit(f"drill: status {done.returncode}\n{done.stdout}{done.stderr}"
                     f"{log.read_text()[-4000:] if log.exists() else ''}")
        return done.stdout

    def line(self, command):
        """A command of a page: systemctl by root, all else by the user of the service."""
        said = "echo " + json.dumps("$ " + command).replace("$", r"\$").replace("`", r"\`") + "\n"
        if command.startswith("systemctl "):
            return said + command + "\n"
        first = fenced(blocks(DISASTER)[""])
        quoted = "; ".join([*first, command]).replace("'", "'\\''")
        return said + f"runuser -u contimg -- /bin/bash -c '{quoted}'\n"

    def install_programs(self, root):
        there = indented(blocks(INSTALL)[BARE].split("There:")[1], 4)
        self.inside(root, "".join(command + "\n" for command in there))
        steps = indented(blocks(INSTALL)[""], 7)
        # Step 2 of the page: the user and the two roots.
        self.inside(root, "".join(c + "\n" for c in steps if c.startswith(("adduser ", "install -d -o "))))
        return steps

    def settle(self, root, steps):
        """Step 3: the settings."""
        site = "".join(f"{name}='{value}'\n" for name, value in SETTINGS.items())
        (root / "site.env").write_text(site)
        self.inside(root, "".join(c + "\n" for c in steps if "/etc/contimg" in c and "--check" not in c) + """
cat /site.env >> /etc/contimg/contimg.env; rm /site.env
printf '[lake]\\ntype = alias\\nremote = /lake\\n' > /etc/contimg/rclone.conf
chown contimg: /etc/contimg/rclone.conf; chmod 600 /etc/contimg/rclone.conf
install -d -o contimg -g contimg /data/contimg/backups
""" + "".join(c + "\n" for c in steps if "--check" in c))

    def look(self, name):
        """Commands that write down what is known, in <out>/<name>."""
        ask = "set -a; . /etc/contimg/contimg.env; set +a; contimg"
        images = "contimg products list --kind image.pbcor --json"
        return f"""mkdir -p /out/{name}; chown contimg: /out/{name}
runuser -u contimg -- /bin/bash -ec '{ask} products list --json > /out/{name}/products
contimg queue list --json > /out/{name}/groups
contimg cal list --json > /out/{name}/tables
for path in $({images} | sed -n "s/.*\\"path\\": \\"\\(.*\\)\\",*/\\1/p"); do contimg products lineage "$path" --json; done > /out/{name}/lineage
cd /stage/contimg; find images ms -type f ! -name table.lock ! -path "*/.contimg*" -exec sha256sum {{}} + | sort -k 2 > /out/{name}/sums'
"""

    def first_life(self):
        root = self.machine("one")
        steps = self.install_programs(root)
        self.settle(root, steps)
        script = self.line("systemctl start contimg-stream")
        for stamp in self.stamps:
            script += f"""
for file in /sky/{stamp}_sb*.hdf5; do
  part=/stage/contimg/incoming/.$(basename $file).part
  install -o contimg -g contimg -m 640 $file $part; mv $part /stage/contimg/incoming/$(basename $file)
done
""" + self.wait(stamp)
        for command in ("contimg archive --apply", "contimg backup", "systemctl stop contimg-stream"):
            script += self.line(command)
        self.inside(root, script + self.look("before"))
        shutil.copytree(root / "etc/contimg", self.work / "kept")
        shutil.rmtree(root)

    def wait(self, stamp):
        return f"""
for i in $(seq 1200); do
  state=$(runuser -u contimg -- /bin/bash -c 'set -a; . /etc/contimg/contimg.env; set +a; contimg queue show {stamp} --json' | sed -n 's/^ *"state": "\\(.*\\)",*/\\1/p' | head -1)
  case $state in done) break;; dead|held) echo "{stamp} is $state" >&2; exit 1;; esac
  sleep 0.2
done
[ "$state" = done ]
"""

    def second_life(self):
        with self.timed("a new machine: bare root, libraries, programs, user"):
            root = self.machine("two")
            self.install_programs(root)
            shutil.copytree(self.work / "kept", root / "etc/contimg")
            self.inside(root, "chown contimg: /etc/contimg/rclone.conf\n")
        commands = fenced(blocks(DISASTER)[LOST])
        with self.timed("state, products and tables come back by the commands of disaster.md"):
            print(self.inside(root, "".join(map(self.line, commands)) + self.line("systemctl stop contimg-stream")), end="")
        with self.timed("they are compared, a group is processed again, an image reproduced"):
            again = self.stamps[-1]
            image = f"/stage/contimg/images/single/{again[:10]}/{again}.image.pbcor.fits"
            script = self.look("after") + self.line("systemctl start contimg-stream")
            script += self.line(f"contimg products reproduce {image}")
            script += self.line(f"contimg queue requeue {again}") + self.wait(again)
            script += self.line(f"contimg products reproduce {image}") + self.line("systemctl stop contimg-stream")
            print(self.inside(root, script), end="")

    def compare(self):
        def read(name, what):
            return (self.out / name / what).read_text()

        def same(what, before, after):
            if before != after:
                sys.exit(f"drill: {what} are not what they were\n{before}\n{after}")
            self.say(f"{what}: the same")
        volatile = {"id", "created_at", "updated_at", "job", "job_id", "archived_at", "archive_path"}

        def plain(value):
            if isinstance(value, dict):
                return {key: plain(each) for key, each in value.items() if key not in volatile}
            return [plain(each) for each in value] if isinstance(value, list) else value

        def documents(text):
            decoder, at, found = json.JSONDecoder(), 0, []
            while text[at:].strip():
                at += len(text[at:]) - len(text[at:].lstrip())
                value, at = decoder.raw_decode(text, at)
                found.append(plain(value))
            return found
        sums = {name: dict(reversed(line.split("  ", 1)) for line in read(name, "sums").splitlines())
                for name in ("before", "after")}
        if len(sums["before"]) < 50:
            sys.exit(f"drill: {len(sums['before'])} files are no run")
        same(f"{len(sums['before'])} files of images, Measurement Sets and tables", sums["before"], sums["after"])
        for what in ("products", "lineage"):
            same(what, *(documents(read(name, what)) for name in ("before", "after")))
        same("groups", *({row["id"]: row["state"] for row in json.loads(read(name, "groups"))}
                         for name in ("before", "after")))
        same("tables", *(sorted((row["path"], row["kind"], row["status"]) for row in json.loads(read(name, "tables")))
                         for name in ("before", "after")))

    def run(self):
        with self.timed("two machines are prepared"):
            self.prepare()
        with self.timed("the first takes a drift scan, archives it and makes a backup; then it is lost"):
            self.first_life()
        self.second_life()
        self.compare()
        for what, seconds in self.took.items():
            print(f"{seconds:7.0f} s  {what}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--base", help="a bare root of Debian 12 (default: made by debootstrap in the work folder)")
    parser.add_argument("--work", default="build/drill", help="folder for the two machines (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the second machine for a look")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("drill: needs root, for the two machines are chroots")
    if not args.base and shutil.which("debootstrap") is None:
        sys.exit("drill: needs debootstrap (apt-get install debootstrap), or --base with a bare root of Debian 12")
    drill = Drill(args)
    drill.run()
    if not args.keep:
        shutil.rmtree(drill.work / "two")


if __name__ == "__main__":
    main()
