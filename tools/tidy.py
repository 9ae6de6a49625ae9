#!/usr/bin/python3
"""Runs clang-tidy over the product's sources, those that are not known to be clean. Called by ./run tidy.

A source is known to be clean when it, the headers of ours that it includes, .clang-tidy and the program's version are
what they were when it was found clean: build/tidy/clean holds one empty file per such state. So the first run takes
everything (half an hour of one processor and more) and the later ones what has changed since.

    tools/tidy.py [--sample N] [PATTERN…]

PATTERN    regular expressions: sources whose path below the root matches one; default: all of the product's modules
--sample   at most N sources, for continuous integration, where nothing is known: half of them those of the newest commits,
           the rest in turn, which moves on with commits and days, so that some thirty runs take all of them
"""
import argparse
import concurrent.futures
import datetime
import hashlib
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/tidy"
MODULES = ["config", "state", "ingest", "convert", "calibrate", "image", "mosaic", "ops"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def git(*words):
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


class Digests:
    """Of a source with all of ours that it includes."""

    def __init__(self, common):
        self.common, self.texts = common, {}

    def text(self, path):
        if path not in self.texts:
            self.texts[path] = path.read_bytes() if path.is_file() else None
        return self.texts[path]

    def of(self, source):
        seen, waiting = set(), [source]
        while waiting:
            path = waiting.pop()
            text = self.text(path)
            if path in seen or text is None:
                continue
            seen.add(path)
            waiting += [ROOT / name for name in INCLUDE.findall(text.decode())]
        digest = hashlib.sha256(self.common)
        for path in sorted(seen):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + self.texts[path] + b"\0")
        return digest.hexdigest()


def sample(sources, number):
    """Sources of the newest commits, and others by turns that move on with commits and days."""
    newest = dict.fromkeys(ROOT / name for name in git("log", "-40", "--format=", "--name-only").split("\n") if name)
    chosen = [path for path in newest if path in set(sources)][: number // 2]
    turn = (int(git("rev-list", "--count", "HEAD") or 0) + datetime.date.today().toordinal()) * (number // 2)
    rest = [path for path in sources if path not in set(chosen)]
    start = turn % max(len(rest), 1)
    return (chosen + rest[start:] + rest[:start])[:number]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sample", type=int, metavar="N", help="at most N sources: of the newest commits, and others in turn")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="only sources whose path matches one")
    args = parser.parse_args()
    sources = sorted(path for module in MODULES for path in (ROOT / module).rglob("*.cc"))
    # Its library is optional and has no compile command where it is missing.
    if "aoflagger/plugin.cc" not in (BUILD / "compile_commands.json").read_text():
        sources.remove(ROOT / "calibrate/aoflagger/plugin.cc")
    if args.patterns:
        wanted = re.compile("|".join(args.patterns))
        sources = [path for path in sources if wanted.search(str(path.relative_to(ROOT)))]
        if not sources:
            sys.exit("tidy: no source's path matches " + " or ".join(args.patterns))
    if args.sample:
        sources = sample(sources, args.sample)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    digests = Digests(version + (ROOT / ".clang-tidy").read_bytes())
    clean = BUILD / "clean"
    clean.mkdir(exist_ok=True)
    stale = [(path, clean / digests.of(path)) for path in sources]
    stale = [(path, stamp) for path, stamp in stale if not stamp.exists()]
    print(f"{len(sources)} sources, {len(sources) - len(stale)} known to be clean", flush=True)

    def check(job):
        path, stamp = job
        done = subprocess.run(["clang-tidy", "-quiet", "-p", BUILD, "-extra-arg=-Wno-unknown-warning-option",
                               path], capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode == 0:
            stamp.touch()
        return path, done

    dirty = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, done in pool.map(check, stale):
            if done.returncode != 0:
                dirty += 1
                print(done.stdout.replace(f"{ROOT}/", "") or done.stderr, flush=True)
    if dirty:
        sys.exit(f"tidy: {dirty} of {len(sources)} sources are not clean")
    print("all clean")


if __name__ == "__main__":
    main()
