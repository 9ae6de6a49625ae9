#!/usr/bin/python3
"""Compares two Measurement Sets of one layout:  same_measurement_set.py A B LARGEST

Status 1 unless FLAG, WEIGHT_SPECTRUM, TIME and the antennas are equal, UVW to a micrometre, FIELD's centre and the
declination of the pointing to 1e-10 rad, and DATA of the cross-correlations differ by less than LARGEST of their rms.
Prints the largest differences."""
import sys

import numpy as np
from casacore.tables import table

a, b = (table(path, ack=False) for path in sys.argv[1:3])
good = True
for column in ("FLAG", "WEIGHT_SPECTRUM", "TIME", "ANTENNA1", "ANTENNA2"):
    if not np.array_equal(a.getcol(column), b.getcol(column)):
        print(f"{column} differs")
        good = False
centres = [table(path + "/FIELD", ack=False).getcol("PHASE_DIR") for path in sys.argv[1:3]]
if np.abs(centres[0] - centres[1]).max() > 1e-10:
    print(f"centres differ: {centres[0].ravel()} {centres[1].ravel()}")
    good = False
pointings = [t.getkeyword("CONTIMG")["app_dec_rad"] for t in (a, b)]
if abs(pointings[0] - pointings[1]) > 1e-10:
    print(f"declinations of the pointing differ: {pointings}")
    good = False
uvw = np.abs(a.getcol("UVW") - b.getcol("UVW")).max()
cross = a.getcol("ANTENNA1") != a.getcol("ANTENNA2")
first, second = a.getcol("DATA")[cross], b.getcol("DATA")[cross]
difference = np.abs(first - second).max() / np.sqrt(np.mean(np.abs(first) ** 2))
print(f"largest difference of UVW {uvw:.1e} m, of DATA {difference:.1e} of the cross-correlations' rms")
sys.exit(0 if good and uvw < 1e-6 and difference < float(sys.argv[3]) else 1)
