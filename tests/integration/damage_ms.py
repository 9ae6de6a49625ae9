#!/usr/bin/python3
"""Spoils a Measurement Set in one way: damage_ms.py KIND X.ms"""
import sys

import numpy as np
from casacore.tables import table

kind, path = sys.argv[1:]
with table(path, readonly=False, ack=False) as main:
    flags = main.getcol("FLAG")
    if kind == "all_flagged":
        main.putcol("FLAG", np.ones_like(flags))
    elif kind == "one_baseline":
        first, second = main.getcol("ANTENNA1"), main.getcol("ANTENNA2")
        row = np.argmax(first != second)
        keep = (first == first[row]) & (second == second[row])
        flags[~keep] = True
        main.putcol("FLAG", flags)
    elif kind in ("nan_weights", "some_nan_weights"):
        spectrum = main.getcol("WEIGHT_SPECTRUM")
        spectrum[(slice(None) if kind == "nan_weights" else slice(0, None, 3))] = np.nan
        main.putcol("WEIGHT_SPECTRUM", spectrum)
        weight = main.getcol("WEIGHT")
        weight[(slice(None) if kind == "nan_weights" else slice(0, None, 3))] = np.nan
        main.putcol("WEIGHT", weight)
    elif kind == "nan_data":
        data = main.getcol("DATA")
        data[:] = np.nan
        main.putcol("DATA", data)
    else:
        sys.exit("unknown kind " + kind)
