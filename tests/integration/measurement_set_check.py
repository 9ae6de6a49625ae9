#!/usr/bin/python3
"""A Measurement Set as python3-casacore sees it.

    measurement_set_check.py rows MS N                     opens, has N rows and a readable last row
    measurement_set_check.py full MS [--missing 3,7] FILE… everything below, against the UVH5 files it was made of
"""
import sys

import h5py
import numpy as np
from astropy import coordinates
from astropy.time import Time
from astropy.utils import iers
from casacore.tables import table, taql

iers.conf.auto_download = False
iers.conf.auto_max_age = None  # a Debian release is older than its predictions are said to hold
iers.conf.iers_degraded_accuracy = "warn"
# The tests fix the Earth orientation; astropy would interpolate its own tables.
for name, module in list(sys.modules.items()):
    if name.startswith("astropy.coordinates") and hasattr(module, "get_polar_motion"):
        module.get_polar_motion = lambda time: (np.zeros(time.shape), np.zeros(time.shape))

COLUMNS = {"TIME", "TIME_CENTROID", "EXPOSURE", "INTERVAL", "UVW", "WEIGHT", "SIGMA", "WEIGHT_SPECTRUM", "FLAG", "FLAG_ROW",
           "DATA", "ANTENNA1", "ANTENNA2", "ARRAY_ID", "DATA_DESC_ID", "FEED1", "FEED2", "FIELD_ID", "OBSERVATION_ID",
           "PROCESSOR_ID", "SCAN_NUMBER", "STATE_ID", "FLAG_CATEGORY"}
SUBTABLES = ("ANTENNA", "FEED", "FIELD", "SOURCE", "SPECTRAL_WINDOW", "POLARIZATION", "DATA_DESCRIPTION", "OBSERVATION",
             "STATE", "HISTORY")
MJD_OF_JD0 = 2400000.5


def sub(path, name):
    return table(f"{path}::{name}", ack=False)


def rows(path, count):
    with table(path, ack=False) as main:
        assert main.nrows() == count, f"{main.nrows()} rows, not {count}"
        assert np.isfinite(main.getcell("DATA", count - 1)).all()


def keywords(main):
    for column, measure in (("TIME", "epoch"), ("TIME_CENTROID", "epoch"), ("UVW", "uvw")):
        assert main.getcolkeyword(column, "MEASINFO")["type"] == measure, column
    assert main.getcolkeyword("TIME", "MEASINFO")["Ref"] == "UTC"
    for column, unit in (("TIME", "s"), ("TIME_CENTROID", "s"), ("INTERVAL", "s"), ("EXPOSURE", "s"), ("UVW", "m")):
        assert set(main.getcolkeyword(column, "QuantumUnits")) == {unit}, column


def path_difference(centre, t_mjd_s, app_dec, longitude, baseline):
    """b · (s − s0) in metres by astropy: the direction s of the ICRS centre in ITRF (UT1 = UTC, no polar motion) against
    hour angle 0 at the apparent declination."""
    time = Time(t_mjd_s / 86400.0, format="mjd", scale="utc")
    time.delta_ut1_utc = 0.0
    place = coordinates.SkyCoord(centre[0], centre[1], unit="rad", frame="icrs")
    xyz = place.transform_to(coordinates.ITRS(obstime=time)).cartesian.xyz.value
    s0 = np.array([np.cos(app_dec) * np.cos(longitude), np.cos(app_dec) * np.sin(longitude), np.sin(app_dec)])
    return baseline @ (xyz / np.linalg.norm(xyz) - s0)


def data(path, main, files):
    """Amplitudes and phases of a spread of rows, straight from the files."""
    frequencies = sub(path, "SPECTRAL_WINDOW").getcol("CHAN_FREQ")
    centre = sub(path, "FIELD").getcol("PHASE_DIR").ravel()
    stations = sub(path, "ANTENNA").getcol("POSITION")
    assert np.all(np.abs(np.linalg.norm(stations, axis=1) - 6.37e6) < 2e4), "antenna positions are not absolute ITRF"
    checked = 0
    for name in (files[0], files[-1]):
        with h5py.File(name, "r") as f:
            header = f["Header"]
            nu = header["freq_array"][...].ravel()
            window = int(np.argmin(np.abs(frequencies.mean(axis=1) - nu.mean())))
            order = np.argsort(nu)
            assert np.allclose(frequencies[window], nu[order], atol=1e-3, rtol=0)
            vis, n1, n2 = f["Data/visdata"][...], header["ant_1_array"][...], header["ant_2_array"][...]
            t = (header["time_array"][...] - MJD_OF_JD0) * 86400
            app_dec, longitude = header["phase_center_app_dec"][()], np.radians(header["longitude"][()])
            numbers = list(header["antenna_numbers"][...])
            vis = vis.reshape(len(n1), len(nu), -1)[:, order]
            at = main.query(f"DATA_DESC_ID={window}")
            index = {(a, b, round(x, 1)): i for i, (a, b, x) in
                     enumerate(zip(at.getcol("ANTENNA1"), at.getcol("ANTENNA2"), at.getcol("TIME")))}
            got, uvw = at.getcol("DATA"), at.getcol("UVW")
            for row in range(0, len(n1), 29):
                a, b = numbers.index(n1[row]), numbers.index(n2[row])
                swap = a > b
                hits = [i for (x, y, s), i in index.items() if (x, y) == (min(a, b), max(a, b)) and abs(s - t[row]) < 0.2]
                assert len(hits) == 1, f"row {row}: {len(hits)} rows in the Measurement Set"
                from_file = vis[row] if swap else np.conj(vis[row])  # antenna1 < antenna2, then conjugated
                cell = got[hits[0]]
                assert np.allclose(np.abs(cell), np.abs(from_file), rtol=1e-5), f"amplitudes of row {row}"
                baseline = stations[max(a, b)] - stations[min(a, b)]
                length = np.linalg.norm(baseline)
                assert abs(np.linalg.norm(uvw[hits[0]]) - length) < 1e-3, "uvw has another length than the baseline"
                if length > 0:
                    turns = path_difference(centre, t[row], app_dec, longitude, baseline) * nu[order] / 299792458.0
                    expected = from_file * np.exp(2j * np.pi * turns)[:, None]
                    wrong = np.abs(np.angle(cell * np.conj(expected))).max()
                    assert wrong < 1e-3, f"phase of row {row} off by {wrong:.3f} rad"
                    checked += 1
    assert checked > 0, "no baseline was checked"
    return checked


def full(path, missing, files):
    main = table(path, ack=False)
    assert COLUMNS <= set(main.colnames()), COLUMNS - set(main.colnames())
    keywords(main)
    for name in SUBTABLES:
        assert sub(path, name).nrows() > 0, f"{name} has no rows"
    assert sub(path, "SPECTRAL_WINDOW").nrows() == len(files)
    starts = sub(path, "SPECTRAL_WINDOW").getcol("CHAN_FREQ")[:, 0]
    assert np.all(np.diff(starts) > 0), "spectral windows do not ascend"
    assert np.all(main.getcol("ANTENNA1") <= main.getcol("ANTENNA2"))
    feed, antenna = sub(path, "FEED"), sub(path, "ANTENNA")
    assert set(feed.getcol("ANTENNA_ID")) == set(range(antenna.nrows()))
    assert main.getcol("STATE_ID").min() >= 0 and main.getcol("STATE_ID").max() < sub(path, "STATE").nrows()
    observation = sub(path, "OBSERVATION")
    first, last = observation.getcol("TIME_RANGE").ravel()
    time, interval = main.getcol("TIME"), main.getcol("INTERVAL")
    assert abs(first - (time - interval / 2).min()) < 1e-3 and abs(last - (time + interval / 2).max()) < 1e-3
    assert observation.getcol("TELESCOPE_NAME")[0] == "OVRO_MMA"
    field = sub(path, "FIELD")
    for column in ("DELAY_DIR", "REFERENCE_DIR"):
        assert np.array_equal(field.getcol(column), field.getcol("PHASE_DIR"))
    history = "\n".join(sub(path, "HISTORY").getcol("MESSAGE"))
    assert all(str(name) in history for name in files), "HISTORY lacks an input"
    if missing:
        assert f"missing subbands: {', '.join(missing)}" in history, history
    counted = taql("SELECT FROM $main WHERE ANTENNA1=ANTENNA2", tables=[main]).nrows()
    assert counted == antenna_autos(main), "TaQL counts other autocorrelations"
    checked = data(path, main, files)
    print(f"{main.nrows()} rows, {len(files)} windows, phases of {checked} baselines")


def antenna_autos(main):
    return int(np.sum(main.getcol("ANTENNA1") == main.getcol("ANTENNA2")))


if __name__ == "__main__":
    if sys.argv[1] == "rows":
        rows(sys.argv[2], int(sys.argv[3]))
    else:
        words, without = sys.argv[3:], []
        if words[0] == "--missing":
            without, words = words[1].split(","), words[2:]
        full(sys.argv[2], without, words)
