#!/usr/bin/python3
"""Spoils a Measurement Set or a calibration table in one way, with python3-casacore.

    damage_calibration.py KIND PATH [ARGUMENT]

Measurement Sets: flag_all, flag_antenna NAME, leave_two_baselines NAME.
Tables: move_antenna NAME, rename_antenna NAME, nan_antenna NAME, nan_all, flag_everything, other_declination,
other_reference; rename TYPE, set_viscal TYPE, repeat_row ROW, short_position, drop_keyword NAME, drop_column NAME,
number_keyword NAME, bad_window, bad_antenna, no_time, empty_frequencies, undefined_cell, no_rows, drop_window NUMBER.
"""
import os
import shutil
import sys

import numpy as np
from casacore.tables import table


def antenna_row(path, name):
    with table(path + "/ANTENNA", ack=False) as antennas:
        return list(antennas.getcol("NAME")).index(name)


def flag_rows(path, choose):
    """Flags the rows for which choose(antenna1, antenna2) holds."""
    with table(path, readonly=False, ack=False) as ms:
        flags = ms.getcol("FLAG")
        flags[choose(ms.getcol("ANTENNA1"), ms.getcol("ANTENNA2"))] = True
        ms.putcol("FLAG", flags)


def set_values(path, rows):
    with table(path, readonly=False, ack=False) as t:
        values, flags = t.getcol("CPARAM"), t.getcol("FLAG")
        chosen = rows(t)
        values[chosen] = np.nan
        flags[chosen] = False
        t.putcol("CPARAM", values)
        t.putcol("FLAG", flags)


def main():
    kind, path = sys.argv[1:3]
    name = sys.argv[3] if len(sys.argv) > 3 else ""
    if kind == "flag_all":
        flag_rows(path, lambda a1, a2: a1 >= 0)
    elif kind == "flag_antenna":
        a = antenna_row(path, name)
        flag_rows(path, lambda a1, a2: (a1 == a) | (a2 == a))
    elif kind == "leave_two_baselines":
        a = antenna_row(path, name)

        def all_but_two(a1, a2):
            partners = sorted({int(q) for q in a2[a1 == a]} | {int(p) for p in a1[a2 == a]} - {a})
            keep = [p for p in partners if p != a][:2]
            return ((a1 == a) & ~np.isin(a2, keep)) | ((a2 == a) & ~np.isin(a1, keep))
        flag_rows(path, all_but_two)
    elif kind == "move_antenna":
        with table(path + "/ANTENNA", readonly=False, ack=False) as antennas:
            row = antenna_row(path, name)
            antennas.putcell("POSITION", row, antennas.getcell("POSITION", row) + [5.0, 0.0, 0.0])
    elif kind == "rename_antenna":
        with table(path + "/ANTENNA", readonly=False, ack=False) as antennas:
            antennas.putcell("NAME", antenna_row(path, name), "elsewhere")
    elif kind == "nan_antenna":
        row = antenna_row(path, name)
        set_values(path, lambda t: t.getcol("ANTENNA1") == row)
    elif kind == "nan_all":
        set_values(path, lambda t: t.getcol("ANTENNA1") >= 0)
    elif kind == "flag_everything":
        with table(path, readonly=False, ack=False) as t:
            t.putcol("FLAG", np.ones_like(t.getcol("FLAG")))
    elif kind == "other_declination":
        with table(path + "/FIELD", readonly=False, ack=False) as field:
            for column in ("PHASE_DIR", "DELAY_DIR", "REFERENCE_DIR"):
                field.putcell(column, 0, field.getcell(column, 0) + np.array([[0.0, 0.2]]))
    elif kind == "other_reference":
        with table(path, readonly=False, ack=False) as t:
            t.putcol("ANTENNA2", (t.getcol("ANTENNA2") * 0 + antenna_row(path, name)).astype(np.int32))
    elif kind == "rename":
        with table(path, readonly=False, ack=False) as t:
            t.putinfo({"type": "Calibration", "subType": name, "readme": ""})
            t.putkeyword("VisCal", name)
    elif kind == "set_viscal":
        with table(path, readonly=False, ack=False) as t:
            t.putkeyword("VisCal", name)
    elif kind == "repeat_row":
        with table(path, readonly=False, ack=False) as t:
            t.selectrows([int(name)]).copyrows(t)
    elif kind == "short_position":
        from casacore.tables import makearrcoldesc
        with table(path + "/ANTENNA", readonly=False, ack=False) as t:
            positions = t.getcol("POSITION")
            t.removecols("POSITION")
            t.addcols(makearrcoldesc("POSITION", 0.0, ndim=1, valuetype="double"))
            for row, xyz in enumerate(positions):
                t.putcell("POSITION", row, xyz[:2] if row == 3 else xyz)
    elif kind == "drop_keyword":
        with table(path, readonly=False, ack=False) as t:
            t.removekeyword(name)
    elif kind == "drop_column":
        with table(path, readonly=False, ack=False) as t:
            t.removecols(name)
    elif kind == "number_keyword":
        with table(path, readonly=False, ack=False) as t:
            t.removekeyword(name)
            t.putkeyword(name, 5)
    elif kind == "bad_window":
        with table(path, readonly=False, ack=False) as t:
            t.putcell("SPECTRAL_WINDOW_ID", 2, 99)
    elif kind == "bad_antenna":
        with table(path, readonly=False, ack=False) as t:
            t.putcell("ANTENNA1", 2, 999)
    elif kind == "no_time":
        with table(path, readonly=False, ack=False) as t:
            t.putcell("TIME", 2, np.nan)
    elif kind == "empty_frequencies":
        with table(path + "/SPECTRAL_WINDOW", readonly=False, ack=False) as t:
            t.putcell("CHAN_FREQ", 0, np.zeros(0))
    elif kind == "undefined_cell":
        from casacore.tables import makearrcoldesc
        with table(path, readonly=False, ack=False) as t:
            values = [t.getcell("CPARAM", r) for r in range(t.nrows())]
            t.removecols("CPARAM")
            t.addcols(makearrcoldesc("CPARAM", 0j, ndim=-1, valuetype="complex"))
            for row, value in enumerate(values):
                if row != 4:
                    t.putcell("CPARAM", row, value)
    elif kind == "no_rows":
        with table(path, ack=False) as t:
            t.copy(path + ".none", deep=True, valuecopy=True, copynorows=True).close()
        shutil.rmtree(path)
        os.rename(path + ".none", path)
    elif kind == "drop_window":
        with table(path, readonly=False, ack=False) as t:
            t.removerows([int(r) for r in np.flatnonzero(t.getcol("SPECTRAL_WINDOW_ID") == int(name))])
    else:
        sys.exit(f"damage_calibration.py: there is no {kind}")


if __name__ == "__main__":
    main()
