#!/usr/bin/python3
"""The peer of `contimg convert` in tests/bench/convert_bench.sh, and its tools.

  convert OUT.ms FILE…   UVH5 subbands to one Measurement Set with h5py, numpy, erfa and python3-casacore, written as one
                         would by hand: whole data sets are read at once, arithmetic is on whole arrays, columns are
                         written in slabs of one integration and one spectral window. Prints seconds per stage as JSON.
  compare OURS PEERS     rows of both sets side by side; exit status 1 when they differ
  measure COMMAND…       runs a command, its stdout passed through, and prints wall seconds and peak resident bytes on
                         the last line
The peer makes the product that contimg makes: the same rows in the same order, DATA, FLAG, WEIGHT_SPECTRUM, UVW, WEIGHT,
SIGMA and the tables that a reader needs; no read-back, no HISTORY, no safe publishing.
"""
import json
import os
import sys
import time

LIGHT = 299792458.0
MJD_OF_JD = 2400000.5


def meridian_phasing(header, mjd, app_dec):
    """ICRS centre of the tile, and per time the unit vectors (u, v, w) and s0 in ITRF axes. UT1 = UTC, no polar motion."""
    import erfa
    import numpy as np

    def frame(t):
        tt = erfa.taitt(*erfa.utctai(MJD_OF_JD, t))
        astrom, _ = erfa.apci13(*tt)
        return astrom, erfa.rz(erfa.era00(MJD_OF_JD, t), np.eye(3))

    def itrf(astrom, turn, ra, dec):
        return turn @ erfa.s2c(*erfa.atciqz(ra, dec, astrom))

    longitude = np.radians(header["longitude"])
    s0 = np.array([np.cos(app_dec) * np.cos(longitude), np.cos(app_dec) * np.sin(longitude), np.sin(app_dec)])
    astrom, turn = frame((mjd[0] + mjd[-1]) / 2)
    ra, dec = erfa.aticq(*erfa.c2s(turn.T @ s0), astrom)
    axes = []
    for t in mjd:
        astrom, turn = frame(t)
        w = itrf(astrom, turn, ra, dec)
        step = 5e-5 / np.cos(dec)
        u = itrf(astrom, turn, ra + step, dec) - itrf(astrom, turn, ra - step, dec)
        u -= u.dot(w) * w
        u /= np.linalg.norm(u)
        axes.append(np.stack([u, np.cross(w, u), w]))
    return float(ra), float(dec), np.array(axes), s0


def array_centre(header):
    import erfa
    import numpy as np
    return erfa.gd2gc(1, np.radians(header["longitude"]), np.radians(header["latitude"]), header["altitude"])


def read_header(file):
    header = file["Header"]
    return {key: header[key][()] for key in header if key != "extra_keywords"}


def create(path, n_channels, n_pols, n_rows):
    from casacore import tables
    desc = tables.required_ms_desc()
    cell = [n_channels, n_pols]
    tile_rows = max(8, (1 << 20) // (n_channels * n_pols * 8))
    bulk = {"DATA": 0j, "WEIGHT_SPECTRUM": 0.0, "FLAG": False}
    types = {"DATA": "complex", "WEIGHT_SPECTRUM": "float", "FLAG": "boolean"}
    for name in bulk:
        column = tables.makearrcoldesc(name, bulk[name], ndim=2, shape=cell, valuetype=types[name],
                                       datamanagertype="TiledColumnStMan", datamanagergroup="Tiled" + name, options=5)
        desc.update(tables.maketabdesc([column]))
    managers = tables.makedminfo(desc)
    for manager in managers.values():
        if manager["TYPE"] == "TiledColumnStMan":
            manager["SPEC"]["DEFAULTTILESHAPE"] = [n_pols, n_channels, tile_rows]
    ms = tables.default_ms(path, desc, managers)
    ms.addrows(n_rows)
    return ms


def fill_subtables(path, header, names, positions, frequencies, width, ra, dec, span):
    import numpy as np
    from casacore import tables

    def table(name, rows, columns):
        t = tables.table(f"{path}::{name}", readonly=False, ack=False)
        t.addrows(rows)
        for column, value in columns.items():
            t.putcol(column, value)
        t.close()

    n = len(names)
    products = [{-5: 9, -6: 12}[int(p)] for p in header["polarization_array"]]
    table("ANTENNA", n, {"NAME": names, "STATION": names, "TYPE": ["GROUND-BASED"] * n, "MOUNT": ["ALT-AZ"] * n,
                         "POSITION": positions, "OFFSET": np.zeros((n, 3)),
                         "DISH_DIAMETER": header["antenna_diameters"].astype(float)})
    table("FEED", n, {"ANTENNA_ID": np.arange(n, dtype=np.int32), "NUM_RECEPTORS": np.full(n, 2, np.int32),
                      "SPECTRAL_WINDOW_ID": np.full(n, -1, np.int32), "TIME": np.full(n, sum(span) / 2),
                      "INTERVAL": np.full(n, 1e12), "BEAM_OFFSET": np.zeros((n, 2, 2)),
                      "POLARIZATION_TYPE": {"shape": [n, 2], "array": ["X", "Y"] * n},
                      "POL_RESPONSE": np.tile(np.eye(2, dtype=np.complex64), (n, 1, 1)),
                      "POSITION": np.zeros((n, 3)), "RECEPTOR_ANGLE": np.zeros((n, 2))})
    n = len(frequencies)
    widths = np.full((n, frequencies.shape[1]), width)
    table("SPECTRAL_WINDOW", n, {"NUM_CHAN": np.full(n, frequencies.shape[1], np.int32), "CHAN_FREQ": frequencies,
                                 "CHAN_WIDTH": widths, "EFFECTIVE_BW": widths, "RESOLUTION": widths,
                                 "REF_FREQUENCY": frequencies[:, 0], "TOTAL_BANDWIDTH": widths.sum(axis=1),
                                 "MEAS_FREQ_REF": np.full(n, 5, np.int32)})
    table("DATA_DESCRIPTION", n, {"SPECTRAL_WINDOW_ID": np.arange(n, dtype=np.int32)})
    table("POLARIZATION", 1, {"NUM_CORR": np.array([2], np.int32), "CORR_TYPE": np.array([products], np.int32),
                              "CORR_PRODUCT": np.array([[[0, 0], [1, 1]]], np.int32)})
    field = tables.table(f"{path}::FIELD", readonly=False, ack=False)
    for column in ("PHASE_DIR", "DELAY_DIR", "REFERENCE_DIR"):
        keywords = field.getcolkeyword(column, "MEASINFO")
        keywords["Ref"] = "ICRS"
        field.putcolkeyword(column, "MEASINFO", keywords)
    field.close()
    centre = np.array([[[ra, dec]]])
    table("FIELD", 1, {"NAME": ["tile"], "PHASE_DIR": centre, "DELAY_DIR": centre, "REFERENCE_DIR": centre,
                       "TIME": np.array([sum(span) / 2])})
    table("OBSERVATION", 1, {"TELESCOPE_NAME": ["OVRO_MMA"], "TIME_RANGE": np.array([span])})


def convert(out, paths):
    import h5py
    import numpy as np
    seconds = {"read": 0.0, "phase": 0.0, "write": 0.0}
    mark = time.perf_counter()

    def lap(stage):
        nonlocal mark
        now = time.perf_counter()
        seconds[stage] += now - mark
        mark = now

    files = sorted((h5py.File(path, "r") for path in paths), key=lambda f: f["Header/freq_array"][()].min())
    header = read_header(files[0])
    n_times, n_channels, n_pols = int(header["Ntimes"]), int(header["Nfreqs"]), int(header["Npols"])
    n_baselines = int(header["Nblts"]) // n_times
    n_windows = len(files)
    numbers = header["antenna_numbers"].tolist()
    index = np.full(max(numbers) + 1, -1)
    index[numbers] = np.arange(len(numbers))
    a1 = index[header["ant_1_array"][:n_baselines]]
    a2 = index[header["ant_2_array"][:n_baselines]]
    swapped = a1 > a2
    a1, a2 = np.minimum(a1, a2), np.maximum(a1, a2)
    order = np.lexsort((a2, a1))
    a1, a2, swapped = a1[order], a2[order], swapped[order]
    times = header["time_array"].reshape(n_times, n_baselines)[:, 0] - MJD_OF_JD
    interval = header["integration_time"].reshape(n_times, n_baselines)[:, 0]
    positions = header["antenna_positions"] + array_centre(header)
    ra, dec, axes, s0 = meridian_phasing(header, times, float(np.ravel(header["phase_center_app_dec"])[0]))
    b = positions[a2] - positions[a1]
    uvw = -np.einsum("tij,bj->tbi", axes, b)
    path = np.einsum("ti,bi->tb", axes[:, 2] - s0, b)  # [time][baseline], metres
    frequencies = np.sort(np.array([f["Header/freq_array"][()].ravel() for f in files]), axis=1)
    width = abs(float(np.ravel(header["channel_width"])[0]))

    n_rows = n_times * n_windows * n_baselines
    ms = create(out, n_channels, n_pols, n_rows)
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in header["antenna_names"]]
    span = [times[0] * 86400 - interval[0] / 2, times[-1] * 86400 + interval[-1] / 2]
    fill_subtables(out, header, names, positions, frequencies, width, ra, dec, span)
    ms.putcol("TIME", np.repeat(times * 86400, n_windows * n_baselines))
    ms.putcol("TIME_CENTROID", np.repeat(times * 86400, n_windows * n_baselines))
    ms.putcol("INTERVAL", np.repeat(interval, n_windows * n_baselines))
    ms.putcol("EXPOSURE", np.repeat(interval, n_windows * n_baselines))
    ms.putcol("SCAN_NUMBER", np.ones(n_rows, np.int32))
    ms.putcol("ANTENNA1", np.tile(a1.astype(np.int32), n_times * n_windows))
    ms.putcol("ANTENNA2", np.tile(a2.astype(np.int32), n_times * n_windows))
    ms.putcol("DATA_DESC_ID", np.tile(np.repeat(np.arange(n_windows, dtype=np.int32), n_baselines), n_times))
    ms.putcol("UVW", np.repeat(uvw[:, None], n_windows, axis=1).reshape(n_rows, 3))
    lap("write")

    for window, file in enumerate(files):
        shape = (n_times, n_baselines, n_channels, n_pols)
        vis = file["Data/visdata"][()].reshape(shape)
        flags = file["Data/flags"][()].reshape(shape)
        samples = file["Data/nsamples"][()].reshape(shape)
        descending = file["Header/freq_array"][()].ravel()
        backwards = slice(None, None, -1 if descending[0] > descending[-1] else 1)
        lap("read")
        samples[-1] = np.minimum(samples[-1], samples[:-1].max())
        for t in range(n_times):
            data = vis[t][order][:, backwards]
            data[swapped] = data[swapped].conj()
            turns = path[t][:, None] * (frequencies[window] / LIGHT)
            rotation = np.exp(-2j * np.pi * turns).astype(np.complex64)
            data = np.conj(data * rotation[:, :, None])
            weight = np.maximum(samples[t][order][:, backwards], 0)
            bad = flags[t][order][:, backwards] | ~np.isfinite(data) | (weight <= 0)
            data[~np.isfinite(data)] = 0
            good = np.where(bad, 0, weight)
            mean = good.sum(axis=1) / np.maximum((~bad).sum(axis=1), 1)
            sigma = np.where(mean > 0, 1 / np.sqrt(np.where(mean > 0, mean, 1)), 0)
            lap("phase")
            first = (t * n_windows + window) * n_baselines
            ms.putcol("DATA", data, first, n_baselines)
            ms.putcol("FLAG", bad, first, n_baselines)
            ms.putcol("WEIGHT_SPECTRUM", weight, first, n_baselines)
            ms.putcol("WEIGHT", mean.astype(np.float32), first, n_baselines)
            ms.putcol("SIGMA", sigma.astype(np.float32), first, n_baselines)
            ms.putcol("FLAG_ROW", bad.all(axis=(1, 2)), first, n_baselines)
            lap("write")
        file.close()
    ms.close()
    lap("write")
    print(json.dumps({"rows": n_rows, "seconds": seconds}))


def compare(ours, peers):
    import numpy as np
    from casacore import tables
    a, b = tables.table(ours, ack=False), tables.table(peers, ack=False)
    worst = {}
    wrong = []
    if a.nrows() != b.nrows():
        sys.exit(f"{a.nrows()} rows and {b.nrows()} rows")
    for row in np.linspace(0, a.nrows() - 1, 400).astype(int):
        for column in ("TIME", "ANTENNA1", "ANTENNA2", "DATA_DESC_ID", "FLAG", "FLAG_ROW", "UVW", "DATA",
                       "WEIGHT_SPECTRUM", "WEIGHT", "SIGMA", "INTERVAL"):
            x, y = np.asarray(a.getcell(column, row)), np.asarray(b.getcell(column, row))
            difference = float(np.max(np.abs(x.astype(complex) - y))) if x.shape == y.shape else np.inf
            if column == "DATA":  # relative to the row: float32 arithmetic on both sides
                difference /= max(float(np.max(np.abs(x))), 1e-30)
            worst[column] = max(worst.get(column, 0.0), difference)
    # Times: a Julian Date in 64 bits resolves 40 us. uvw: the same Earth model. DATA: a few roundings of float32.
    limits = {"TIME": 1e-4, "UVW": 1e-6, "DATA": 2e-6, "WEIGHT": 1e-4, "SIGMA": 1e-6}
    for column, difference in worst.items():
        if not difference <= limits.get(column, 0.0):
            wrong.append(f"{column} differs by {difference:.3g}")
    if wrong:
        sys.exit("; ".join(wrong))
    print(f"400 rows agree: largest difference of UVW {worst['UVW'] * 1e6:.3f} um, of DATA {worst['DATA']:.1e} relative")


def measure(command):
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        sys.exit(f"{command[0]} ended with status {code}")
    print(json.dumps({"wall": wall, "user": usage.ru_utime, "system": usage.ru_stime,
                      "peak_bytes": usage.ru_maxrss * 1024}))


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "convert":
        convert(sys.argv[2], sys.argv[3:])
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        compare(sys.argv[2], sys.argv[3])
    elif len(sys.argv) > 2 and sys.argv[1] == "measure":
        measure(sys.argv[2:])
    else:
        sys.exit(__doc__)
