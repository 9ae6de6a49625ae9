#!/usr/bin/python3
"""`contimg refine`: phases that drifted since the tables were solved are found in a tile and turned back, CORRECTED_DATA alone is
changed, and a second time there is nothing left to do.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/refine_command_test.py [-v]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

try:
    from casacore.tables import table
except ImportError:
    print("skipped: no python3-casacore")
    sys.exit(77)

CONTIMG = pathlib.Path(os.environ["CONTIMG_BIN_DIR"]) / "contimg"
RA, DEC = 210.0, 16.1
SKY = ((RA, DEC, 20), (RA + 0.6, DEC + 0.3, 3), (RA + 0.9, DEC - 0.4, 2))


class RefineCommandTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-refine-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.contimg("simulate", "--out", "in", "--quiet", "--antennas", 16, "--integrations", 6, "--channels", 4, "--subbands", 4,
                    "--transit", f"{RA},{DEC}", "--tiles", 2, "--gains", "0.2,180", "--drift", "0,240",
                    *(f"--source={ra},{dec},{jy},0" for ra, dec, jy in SKY))
        (cls.root / "sky.csv").write_text("name,ra_deg,dec_deg,flux_jy,alpha\n" +
                                          "".join(f"S{jy},{ra},{dec},{jy},0\n" for ra, dec, jy in SKY))
        stamps = sorted({path.name[:19] for path in (cls.root / "in").glob("*.hdf5")})
        for name, stamp in zip(("first", "second"), stamps):
            cls.contimg("convert", *sorted((cls.root / "in").glob(f"{stamp}_sb*.hdf5")), "--out", f"{name}.ms", "--no-durable",
                        "--set", "ingest.expected_subbands=4", "--set", "ingest.min_subbands=4")
        cls.contimg("solve", "first.ms", "--catalog", "./sky.csv", "--out", "cal", "--minuv", 0)
        cls.contimg("apply", "second.ms", "--tables", "cal.kcal", "cal.bpcal", "cal.gpcal")

    @classmethod
    def contimg(cls, *words, status=0):
        done = subprocess.run([CONTIMG, "--log-level", "warn", *map(str, words)], cwd=cls.root, capture_output=True, text=True,
                              check=False, env=dict(os.environ, CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0"))
        assert done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
        return done

    def column(self, name, ms="second.ms"):
        with table(str(self.root / ms), ack=False) as rows:
            return rows.getcol(name)

    def refine(self, *words):
        return json.loads(self.contimg("refine", "second.ms", "--catalog", "./sky.csv", "--json", *words).stdout)

    def test_phases_are_turned_back_once(self):
        data, before, flags, weight = (self.column(name) for name in ("DATA", "CORRECTED_DATA", "FLAG", "WEIGHT_SPECTRUM"))
        looked = self.refine("--dry-run")
        self.assertTrue(looked["applied"])
        self.assertFalse(looked["written"])
        self.assertGreater(looked["phase_rms_deg"], 2)
        np.testing.assert_array_equal(self.column("CORRECTED_DATA"), before)

        done = self.refine()
        self.assertTrue(done["written"])
        self.assertEqual(done["phases_deg"], looked["phases_deg"])
        after = self.column("CORRECTED_DATA")
        self.assertFalse(np.array_equal(after, before))
        np.testing.assert_allclose(np.abs(after), np.abs(before), rtol=1e-5, atol=1e-5)  # turned, no more
        np.testing.assert_array_equal(self.column("DATA"), data)
        np.testing.assert_array_equal(self.column("FLAG"), flags)
        np.testing.assert_array_equal(self.column("WEIGHT_SPECTRUM"), weight)
        self.assertIn("refined: phases of 16 antennas", self.contimg("inspect", "second.ms", "--json").stdout
                      + " ".join(self.column("MESSAGE", "second.ms/HISTORY")))

        again = self.refine("--dry-run")
        self.assertLess(again["phase_rms_deg"], 0.1 * done["phase_rms_deg"])

        self.contimg("apply", "second.ms", "--tables", "cal.kcal", "cal.bpcal", "cal.gpcal", "--replace")
        np.testing.assert_array_equal(self.column("CORRECTED_DATA"), before)

    def test_what_cannot_be_refined_is_said(self):
        self.assertIn("contimg apply", self.contimg("refine", "first.ms", "--catalog", "./sky.csv", status=2).stderr)
        self.assertIn("--calibrator", self.contimg("refine", "second.ms", status=2).stderr)
        few = self.contimg("refine", "second.ms", "--catalog", "./sky.csv", "--set", "calibrate.refine_min_snr=1000000")
        self.assertIn("stays as it is", few.stdout)


if __name__ == "__main__":
    unittest.main()
