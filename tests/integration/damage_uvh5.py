#!/usr/bin/python3
"""Damages a UVH5 file in a named way:  damage_uvh5.py KIND FILE"""
import sys

import h5py
import numpy as np


def replace(file, name, value):
    del file[name]
    file[name] = value


def without_rows(file):
    for name in ("visdata", "flags", "nsamples"):
        replace(file, "Data/" + name, file["Data/" + name][:-1])


def cross_rows(file):
    return np.flatnonzero(file["Header/ant_1_array"][...] != file["Header/ant_2_array"][...])


DAMAGE = {
    "missing_data_set": lambda f: f.__delitem__("Header/ant_1_array"),
    "missing_visibilities": lambda f: f.__delitem__("Data/visdata"),
    "wrong_rank": lambda f: replace(f, "Data/visdata", f["Data/visdata"][:, 0, :, 0]),
    "wrong_type": lambda f: replace(f, "Data/visdata", f["Data/visdata"][...].real),
    "axes_swapped": lambda f: replace(f, "Data/visdata", np.swapaxes(f["Data/visdata"][...], 2, 3)),
    "nblts_contradicts": lambda f: replace(f, "Header/Nblts", f["Header/Nblts"][()] + 1),
    "too_few_rows": without_rows,
    "index_out_of_range": lambda f: f["Header/ant_2_array"].__setitem__(0, 100000),
    "times_differ": lambda f: replace(f, "Header/time_array", f["Header/time_array"][...] + 12.885 / 86400),
    "antennas_differ": lambda f: replace(f, "Header/antenna_positions", f["Header/antenna_positions"][...] + 1.0),
    "between_subbands": lambda f: replace(f, "Header/freq_array", f["Header/freq_array"][...] + 5e6),
    "unknown_polarisation": lambda f: replace(f, "Header/polarization_array", np.array([-5, -42])),
    "ut1": lambda f: f.__setitem__("Header/dut1", 0.4),
    "absurd_counts": lambda f: f["Data/nsamples"].__setitem__((cross_rows(f)[:10], 0, 0, 0), 1e30),
    "not_finite": lambda f: f["Data/visdata"].__setitem__((slice(0, 3), 0, 0, 0), np.array([np.nan, np.inf, 1j * np.nan])),
}

if __name__ == "__main__":
    with h5py.File(sys.argv[2], "r+") as damaged:
        DAMAGE[sys.argv[1]](damaged)
