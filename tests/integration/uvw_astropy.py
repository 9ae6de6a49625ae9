"""Compares uvw and phase rotations of uvw_astropy_test.cc with astropy: geocentric apparent places, UT1 = UTC, no polar
motion. Exit status 0 when uvw agree to 1 mm and phases to 1e-3 rad, and says the largest differences."""
import sys

import numpy as np
from astropy import coordinates, units
from astropy.time import Time
from astropy.utils import iers

iers.conf.auto_download = False
iers.conf.iers_degraded_accuracy = "warn"


def no_polar_motion(time):
    return np.zeros(time.shape), np.zeros(time.shape)


# The tests fix the Earth orientation; astropy would interpolate its own tables.
for module in list(sys.modules.values()):
    if module is not None and module.__name__.startswith("astropy.coordinates") and hasattr(module, "get_polar_motion"):
        module.get_polar_motion = no_polar_motion


def itrf(ra, dec, time):
    place = coordinates.SkyCoord(ra * units.rad, dec * units.rad, frame="icrs")
    xyz = place.transform_to(coordinates.ITRS(obstime=time)).cartesian.xyz.value
    return np.moveaxis(xyz / np.linalg.norm(xyz, axis=0), 0, -1)


rows = np.loadtxt(sys.argv[1])
mjd_s, ra, dec, app_dec, longitude = rows[:, :5].T
position1, position2, uvw = rows[:, 5:8], rows[:, 8:11], rows[:, 11:14]
times, index = np.unique(rows[:, :5], axis=0, return_inverse=True)
index = index.ravel()
time = Time(times[:, 0] / 86400.0, format="mjd", scale="utc")
time.delta_ut1_utc = np.zeros(len(times))

w = itrf(times[:, 1], times[:, 2], time)
step = 1e-5 / np.cos(times[:, 2])
east = itrf(times[:, 1] + step, times[:, 2], time) - itrf(times[:, 1] - step, times[:, 2], time)
u = east - np.sum(east * w, axis=1)[:, None] * w
u /= np.linalg.norm(u, axis=1)[:, None]
v = np.cross(w, u)
b = position2 - position1
expected = -np.stack([np.sum(b * axis[index], axis=1) for axis in (u, v, w)], axis=1)
uvw_error = np.abs(expected - uvw).max()

s0 = np.stack([np.cos(app_dec) * np.cos(longitude), np.cos(app_dec) * np.sin(longitude), np.sin(app_dec)], axis=1)
path = np.sum(b * (w[index] - s0), axis=1)
phase_error = 0.0
for column in (14, 16):
    turns = rows[:, column] * path / 299792458.0
    difference = rows[:, column + 1] - 2 * np.pi * turns  # conj(exp(-2 pi i turns))
    phase_error = max(phase_error, np.abs(np.angle(np.exp(1j * difference))).max())
print(f"{len(rows)} baselines: largest difference of uvw {uvw_error * 1e3:.4f} mm, of phase {phase_error:.2e} rad")
sys.exit(0 if uvw_error < 1e-3 and phase_error < 1e-3 else 1)
