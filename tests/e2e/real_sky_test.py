#!/usr/bin/python3
"""Real sky through the real daemon: VLA data of 3C286 in the correlator's layout are dropped into its folder, and a
calibrated, CLEANed image with the figures that are known for them comes out (docs/performance.md).

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/e2e/real_sky_test.py

Skipped (exit status 77) where the data are not at hand: CONTIMG_REAL_SKY names their folder.
"""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CONTIMG_BIN_DIR", SOURCE / "build/release/bin")).resolve()
DATA = pathlib.Path(os.environ.get("CONTIMG_REAL_SKY", SOURCE.parent / "shared/data/vla-3c286-uvh5"))
PEAK_JY, PEAK_ERROR_JY, RMS_JY, DYNAMIC_RANGE = 15.0, 0.3, 0.004, 3000


def main():
    files = sorted(DATA.glob("*.hdf5"))
    if len(files) != 2:
        print(f"skipped: {DATA} does not hold the two subbands")
        return 77
    root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-real-sky-"))
    staging = pathlib.Path(f"/dev/shm/contimg-real-sky-{os.getpid()}")
    incoming = root / "scratch/incoming"
    incoming.mkdir(parents=True)
    (root / "state").mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
    environment.update(
        CONTIMG_SCRATCH_DIR=str(root / "scratch"), CONTIMG_STATE_DIR=str(root / "state"), CONTIMG_STAGING_DIR=str(staging),
        CONTIMG_HTTP_LISTEN="127.0.0.1:0", CONTIMG_INGEST_STABLE_S="0.5", CONTIMG_INGEST_EXPECTED_SUBBANDS="2",
        CONTIMG_INGEST_MIN_SUBBANDS="2", CONTIMG_TELESCOPE_BEAM="none", CONTIMG_IMAGE_SIZE="2048",
        CONTIMG_IMAGE_CELL_ARCSEC="0.8", CONTIMG_IMAGE_MIN_UV_LAMBDA="0", CONTIMG_DISK_CRITICAL_USED_FRACTION="0.9999",
        CONTIMG_DISK_WARN_USED_FRACTION="0.999")
    with open(root / "log", "w") as log:
        daemon = subprocess.Popen([BIN / "contimg-stream"], env=environment, stdout=log, stderr=log)
    try:
        time.sleep(1)
        for path in files:
            shutil.copy(path, root / path.name)
            (root / path.name).rename(incoming / path.name)
        end = time.time() + 300
        state = None
        while state != "done":
            time.sleep(0.5)
            database = root / "state/ingest.sqlite3"
            if database.exists():
                with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                    rows = connection.execute("SELECT id, state, error FROM groups").fetchall()
                if rows:
                    state = rows[0][1]
                    assert state != "dead", f"given up: {rows[0][2]}"
            assert time.time() < end, f"not done in 300 s but {state}: " + (root / "log").read_text()[-1500:]
        group = rows[0][0]
        with sqlite3.connect(f"file:{root}/state/products.sqlite3?mode=ro", uri=True) as connection:
            report = json.loads(connection.execute("SELECT report_json FROM jobs ORDER BY id DESC").fetchone()[0])
            kinds = {row[0] for row in connection.execute("SELECT kind FROM products")}
        quality = report["quality"]["quality"]
        figures = f"peak {quality['peak_jy']:.3f} Jy/beam, rms {1e3 * quality['rms_jy']:.3f} mJy/beam, dynamic range " \
                  f"{quality['dynamic_range']:.0f}"
        print(f"{group}: {figures}")
        assert len(report["applied"]) == 3, f"expected K, BP and G to be applied, found {report['applied']}"
        assert abs(quality["peak_jy"] - PEAK_JY) <= PEAK_ERROR_JY, f"expected {PEAK_JY} +- {PEAK_ERROR_JY} Jy: {figures}"
        assert quality["rms_jy"] < RMS_JY, f"expected an rms below {RMS_JY} Jy: {figures}"
        assert quality["dynamic_range"] > DYNAMIC_RANGE, f"expected a dynamic range above {DYNAMIC_RANGE}: {figures}"
        assert {"uvh5", "science_ms", "caltable", "image", "image.pbcor", "qa_picture"} <= kinds, kinds
        image = next(p["path"] for p in report["products"] if p["kind"] == "image")
        again = subprocess.run([BIN / "contimg", "products", "reproduce", image], env=environment, capture_output=True,
                               text=True)
        assert again.returncode == 0, again.stdout + again.stderr
        print(again.stdout.strip().splitlines()[-1])
    finally:
        if daemon.poll() is None:
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()
        if os.environ.get("CONTIMG_KEEP"):
            print(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
            shutil.rmtree(staging, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
