#!/usr/bin/python3
"""Calibration tables as CASA writes them, and what applying them gives, reckoned one number at a time with numpy.

    casa_tables.py make CASE SET.ms TABLE
    casa_tables.py check BEFORE.ms AFTER.ms TABLE:linear|TABLE:nearest|TABLE:combined ...

`check` shares nothing with contimg: it reads tables and data with python3-casacore and goes by CASA's rules (linear in
amplitude and phase in time and frequency, flagged when one of two neighbours is; CORRECTED = DATA / (g_p conj(g_q))).
"""
import os
import sys

import numpy as np
from casacore.tables import makearrcoldesc, makescacoldesc, maketabdesc, table


def subtable(path, name):
    return table(path + "/" + name, ack=False)


def make(case, ms, out):
    rng = np.random.default_rng(sum(map(ord, case)))
    kind = case.split("_")[0]  # g, b, k, t
    with table(ms, ack=False) as t:
        times = np.unique(t.getcol("TIME"))
        used = np.unique(t.getcol("ANTENNA1"))  # the antenna table names more
    with subtable(ms, "ANTENNA") as t:
        n_antennas = t.nrows()
    with subtable(ms, "SPECTRAL_WINDOW") as t:
        frequencies = [t.getcell("CHAN_FREQ", w) for w in range(t.nrows())]
        width = abs(t.getcell("CHAN_WIDTH", 0)[0])
    n_windows = len(frequencies)
    real = kind == "k"
    n_pol = 1 if kind == "t" else 2
    value = "FPARAM" if real else "CPARAM"
    scalars = [makescacoldesc(n, 0.0 if n in ("TIME", "INTERVAL") else 0, valuetype="double" if n in (
        "TIME", "INTERVAL") else "int") for n in ("TIME", "FIELD_ID", "SPECTRAL_WINDOW_ID", "ANTENNA1", "ANTENNA2",
                                                 "INTERVAL", "SCAN_NUMBER", "OBSERVATION_ID")]
    arrays = [makearrcoldesc(value, 0.0 if real else 0j, ndim=-1, valuetype="float" if real else "complex"),
              makearrcoldesc("PARAMERR", 0.0, ndim=-1, valuetype="float"),
              makearrcoldesc("FLAG", False, ndim=-1, valuetype="bool"),
              makearrcoldesc("SNR", 0.0, ndim=-1, valuetype="float"),
              makearrcoldesc("WEIGHT", 0.0, ndim=-1, valuetype="float")]
    main = table(out, maketabdesc(scalars + arrays), nrow=0, ack=False)
    name = {"g": "G Jones", "b": "B Jones", "k": "K Jones", "t": "T Jones"}[kind]
    main.putinfo({"type": "Calibration", "subType": name, "readme": ""})
    main.putkeyword("ParType", "Float" if real else "Complex")
    main.putkeyword("MSName", os.path.basename(ms))
    main.putkeyword("VisCal", name)
    main.putkeyword("PolBasis", "unknown")
    if case != "k_before_5_3":
        main.putkeyword("CASA_Version", "6.7.2-32")
    main.flush()

    # Subtables: antennas and field as in the data, but in the other order where the case asks for it.
    antenna_of = np.arange(n_antennas)[::-1] if case == "g_antennas" else np.arange(n_antennas)
    for name in ("ANTENNA", "FIELD", "OBSERVATION", "HISTORY"):
        with subtable(ms, name) as t:
            (t.selectrows(list(map(int, antenna_of))) if name == "ANTENNA" else t).copy(
                out + "/" + name, deep=True, valuecopy=True).close()
        main.putkeyword(name, "Table: " + out + "/" + name)
    described = []
    for f in frequencies:
        f = np.sort(f)
        if case == "b_coarse":  # half the channels
            f = f.reshape(-1, 2).mean(1)
        if case == "b_descending":
            f = f[::-1]
        if kind != "b":
            f = np.array([f.mean()])
        described.append(f)
    window_of = list(range(n_windows))[::-1] if case in ("b_descending", "g_windows") else list(range(n_windows))
    with subtable(ms, "SPECTRAL_WINDOW") as t:
        t.copy(out + "/SPECTRAL_WINDOW", deep=True, valuecopy=True).close()
    with table(out + "/SPECTRAL_WINDOW", readonly=False, ack=False) as t:
        for row, w in enumerate(window_of):
            f = described[w]
            step = len(frequencies[w]) * width / len(f) * (-1 if case == "b_descending" else 1)
            t.putcell("CHAN_FREQ", row, f)
            for column in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
                t.putcell(column, row, np.full(len(f), step))
            t.putcell("NUM_CHAN", row, len(f))
            t.putcell("REF_FREQUENCY", row, frequencies[w].min())
    main.putkeyword("SPECTRAL_WINDOW", "Table: " + out + "/SPECTRAL_WINDOW")

    # Solutions: of every integration, or some between and beyond them; each window at its own time, as CASA has them.
    if case in ("g_int", "g_nearest"):
        solved = times
    elif case in ("g_sparse", "g_flags", "t_sparse", "k_drift", "b_drift"):
        solved = np.array([times[1] - 3.0, times[len(times) // 2] + 2.5, times[-1] + 40.0])
    else:
        solved = times[:1]
    rows = [(t, w) for t in solved for w in range(n_windows)]
    if case.endswith("_combined"):
        rows = [(t, 0) for t in solved]
    if case == "g_late_window":  # the last window has no solution at the first time
        solved = np.array([times[0], times[-1]])
        rows = [(t, w) for t in solved for w in range(n_windows) if w < n_windows - 1 or t == solved[1]]
    main.addrows(len(rows) * n_antennas)
    walk = {}
    row = 0
    for t, w in rows:
        f = described[window_of[w]]
        jitter = 0.03 * w if kind in ("g", "b") and not case.endswith("_combined") else 0.0
        for a in range(n_antennas):
            n = len(f)
            if real:
                v = rng.normal(0, 8, (n, n_pol))
            else:
                walk[w, a] = walk.get((w, a), rng.uniform(-3, 3, (1, n_pol))) + rng.normal(0, 0.6, (1, n_pol))
                v = (1 + 0.2 * rng.normal(size=(n, n_pol)).cumsum(0) / n) * np.exp(
                    1j * (walk[w, a] + np.linspace(0, 1.5, n)[:, None] * rng.normal(size=(1, n_pol))))
            flag = np.zeros((n, n_pol), bool)
            if case in ("g_flags", "b_coarse", "b_drift") and rng.random() < 0.3:
                flag[rng.integers(n), rng.integers(n_pol)] = True
            if case == "g_unusable" and a in (used[2], used[5]):
                v[0, 0] = 0 if a == used[2] else np.nan
            main.putcell("TIME", row, t + jitter)
            main.putcell("FIELD_ID", row, 0)
            main.putcell("SPECTRAL_WINDOW_ID", row, w)
            main.putcell("ANTENNA1", row, a)
            main.putcell("ANTENNA2", row, 0)
            main.putcell("INTERVAL", row, 0.0)
            main.putcell("SCAN_NUMBER", row, 1)
            main.putcell("OBSERVATION_ID", row, 0)
            main.putcell(value, row, v.astype(np.float32 if real else np.complex64))
            for column in ("PARAMERR", "SNR", "WEIGHT"):
                main.putcell(column, row, np.full((n, n_pol), 10, np.float32))
            main.putcell("FLAG", row, flag)
            row += 1
    main.close()


class Jones:
    """A table's gains, by name of antenna."""

    def __init__(self, path, rule):
        self.rule = rule
        with table(path, ack=False) as t:
            self.kind = t.info()["subType"][0]
            column = "FPARAM" if self.kind == "K" else "CPARAM"
            middle = "CASA_Version" in t.getkeywords()
            with subtable(path, "ANTENNA") as a:
                names = a.getcol("NAME")
            with subtable(path, "SPECTRAL_WINDOW") as s:
                self.axis = [s.getcell("CHAN_FREQ", w) for w in range(s.nrows())]
                self.width = [abs(s.getcell("CHAN_WIDTH", w)[0]) for w in range(s.nrows())]
                reference = s.getcol("REF_FREQUENCY")
            self.reference = [f[len(f) // 2] if middle else r for f, r in zip(self.axis, reference)]
            self.solutions = {}
            for r in range(t.nrows()):
                key = (names[t.getcell("ANTENNA1", r)], t.getcell("SPECTRAL_WINDOW_ID", r))
                v = t.getcell(column, r).astype(float if self.kind == "K" else complex)
                bad = t.getcell("FLAG", r) | ~np.isfinite(v) | ((v == 0) & (self.kind != "K"))
                self.solutions.setdefault(key, []).append((t.getcell("TIME", r), v, bad))
        for each in self.solutions.values():
            each.sort(key=lambda s: s[0])

    @staticmethod
    def between(x, y, share):
        amplitude = (1 - share) * abs(x) + share * abs(y)
        return amplitude * np.exp(1j * (np.angle(x) + share * np.angle(y / x)))

    def at(self, name, time, window, channel, pol):
        """A parameter at one time, or None."""
        s = self.solutions.get((name, window))
        if s is None:
            return None
        before = [i for i, each in enumerate(s) if each[0] <= time]
        i = before[-1] if before else 0
        j = min(i + 1, len(s) - 1) if before else 0
        x, y = s[i][1][channel, pol], s[j][1][channel, pol]
        bad_x, bad_y = s[i][2][channel, pol], s[j][2][channel, pol]
        share = (time - s[i][0]) / (s[j][0] - s[i][0]) if i != j else 0.0
        if self.rule == "nearest" or share == 0:
            use_y = self.rule == "nearest" and share > 0.5
            return (None if bad_y else y) if use_y else (None if bad_x else x)
        if bad_x or bad_y:
            return None
        return (1 - share) * x + share * y if self.kind == "K" else self.between(x, y, share)

    def gain(self, name, time, frequency, pol):
        if self.kind == "T":
            pol = 0
        for window, axis in enumerate(self.axis):
            half = self.width[window] / 2
            if self.rule == "combined":
                if (name, window) not in self.solutions:
                    continue
            elif not axis.min() - half <= frequency <= axis.max() + half:
                continue
            if self.kind != "B":
                v = self.at(name, time, window, 0, pol)
                if v is None or self.kind != "K":
                    return v
                return np.exp(2j * np.pi * v * 1e-9 * (frequency - self.reference[window]))
            order = np.argsort(axis)
            below = [c for c in order if axis[c] <= frequency + 1]
            above = [c for c in order if axis[c] >= frequency - 1]
            if not below or not above:
                return self.at(name, time, window, (above or below[-1:])[0], pol)
            low, high = below[-1], above[0]
            x = self.at(name, time, window, low, pol)
            if low == high:
                return x
            y = self.at(name, time, window, high, pol)
            if x is None or y is None:
                return None
            return self.between(x, y, (frequency - axis[low]) / (axis[high] - axis[low]))
        return None


def check(before, after, tables):
    jones = [Jones(*each.rsplit(":", 1)) for each in tables]
    with subtable(before, "ANTENNA") as t:
        names = t.getcol("NAME")
    with subtable(before, "SPECTRAL_WINDOW") as t:
        axis = [t.getcell("CHAN_FREQ", w) for w in range(t.nrows())]
    with subtable(before, "DATA_DESCRIPTION") as t:
        window_of = t.getcol("SPECTRAL_WINDOW_ID")
    old, new = table(before, ack=False), table(after, ack=False)
    data, flag, corrected, new_flag = (old.getcol("DATA"), old.getcol("FLAG"), new.getcol("CORRECTED_DATA"),
                                       new.getcol("FLAG"))
    a1, a2, time, ddid = (old.getcol(c) for c in ("ANTENNA1", "ANTENNA2", "TIME", "DATA_DESC_ID"))
    worst, compared, lost, wrong_flags = 0.0, 0, 0, 0
    gains = {}

    def gain(antenna, t, f, pol):
        key = (antenna, t, f, pol)
        if key not in gains:
            g = 1.0
            for each in jones:
                v = each.gain(names[antenna], t, f, pol)
                g = None if v is None or g is None else g * v
            gains[key] = g
        return gains[key]

    for row in range(0, len(time), 3):
        f = axis[window_of[ddid[row]]]
        n_pol = data.shape[2]
        for c in range(data.shape[1]):
            for p in range(n_pol):
                r1, r2 = ((0, 0), (1, 1))[p] if n_pol == 2 else ((0, 0), (0, 1), (1, 0), (1, 1))[p]
                g1, g2 = gain(a1[row], time[row], f[c], r1), gain(a2[row], time[row], f[c], r2)
                missing = g1 is None or g2 is None
                lost += missing
                wrong_flags += bool(new_flag[row, c, p]) != bool(flag[row, c, p] or missing)
                if missing or flag[row, c, p] or data[row, c, p] == 0:
                    continue
                expected = data[row, c, p] / (g1 * np.conj(g2))
                worst = max(worst, abs(corrected[row, c, p] - expected) / abs(expected))
                compared += 1
    print(f"worst {worst:.3e} compared {compared} lost {lost} wrong_flags {wrong_flags}")
    if compared == 0 or wrong_flags or not worst < 1e-5:
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:5])
    else:
        check(sys.argv[2], sys.argv[3], sys.argv[4:])
