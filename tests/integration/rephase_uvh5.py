#!/usr/bin/python3
"""Phases drift-scan UVH5 files to one direction of the sky, in place, and writes the header as another program would:

    rephase_uvh5.py catalogue|old|old_fk5|rewritten RA_DEG DEC_DEG FILE...

catalogue   as pyuvdata 2.2 and later: phase_center_catalog, lst_array, apparent places. The writer's astronomy is not
            contimg's: topocentric (with diurnal aberration), UT1 - UTC = 0.25 s.
old         phase_type = phased, phase_center_ra, _dec, _epoch, no apparent places; geocentric, UT1 = UTC.
old_fk5     the same with the centre in FK5.
rewritten   phases as they are; the header as pyuvdata 3 writes a DSA-110 file that it has read.

The arithmetic is numpy's and ERFA's: with b = position 2 - position 1 and the correlator's sign,
V(s1) = V(s0) exp(-2 pi i nu b.(s1 - s0)/c).
"""
import sys

import erfa
import h5py
import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord

C = 299792458.0


def unit(longitude, latitude):
    return np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude),
                     np.sin(latitude) + 0 * longitude], axis=-1)


def site(header):
    return np.radians(header["longitude"][()]), np.radians(header["latitude"][()]), header["altitude"][()]


def sidereal_time(jd, longitude, dut1):
    tt = erfa.taitt(*erfa.utctai(jd, 0.0))
    return np.mod(erfa.gst06a(jd, dut1 / 86400, *tt) + longitude, 2 * np.pi)


def topocentric(header, ra, dec, dut1):
    """Hour angle and declination of the observed place without refraction, and the apparent right ascension."""
    longitude, latitude, height = site(header)
    jd = header["time_array"][...]
    _, _, hour_angle, app_dec, ra_cio, origins = erfa.atco13(ra, dec, 0, 0, 0, 0, jd, 0.0, dut1, longitude, latitude, height,
                                                             0, 0, 0, 0, 0, 0)
    return hour_angle, app_dec, np.mod(ra_cio - origins, 2 * np.pi)


def geocentric(header, ra, dec):
    """The same of the geocentric apparent place, UT1 = UTC."""
    jd = header["time_array"][...]
    tt = erfa.taitt(*erfa.utctai(jd, 0.0))
    ra_cirs, dec_cirs, _ = erfa.atci13(ra, dec, 0, 0, 0, 0, *tt)
    return erfa.era00(jd, 0.0) + site(header)[0] - ra_cirs, dec_cirs


def baselines(header):
    index = {number: i for i, number in enumerate(header["antenna_numbers"][...])}
    position = header["antenna_positions"][...]
    first = np.array([index[n] for n in header["ant_1_array"][...]])
    second = np.array([index[n] for n in header["ant_2_array"][...]])
    return position[second] - position[first]


def rotate(file, hour_angle, declination):
    header = file["Header"]
    longitude = site(header)[0]
    b = baselines(header)
    s0 = unit(longitude, np.ravel(header["phase_center_app_dec"][()])[0])
    s1 = unit(longitude - hour_angle, declination)
    path = np.sum(b * (s1 - s0), axis=1)
    turns = path[:, None] * np.ravel(header["freq_array"][...])[None, :] / C
    rotation = np.exp(-2j * np.pi * turns)[:, None, :, None]
    file["Data/visdata"][...] = (file["Data/visdata"][...] * rotation).astype(np.complex64)
    u = np.stack([-np.sin(longitude - hour_angle), np.cos(longitude - hour_angle), 0 * hour_angle], axis=-1)
    v = np.cross(s1, u)
    del header["uvw_array"]
    header["uvw_array"] = np.stack([np.sum(b * axis, axis=1) for axis in (u, v, s1)], axis=-1)


def put_catalogue(header, entry, app_ra, app_dec, lst):
    rows = header["ant_1_array"].shape[0]
    for name in ("phase_type", "phase_center_app_dec"):
        del header[name]
    header["lst_array"], header["phase_center_app_ra"], header["phase_center_app_dec"] = lst, app_ra, app_dec
    header["phase_center_frame_pa"] = np.zeros(rows)
    header["phase_center_id_array"] = np.zeros(rows, int)
    header["Nphase"], header["version"] = 1, np.bytes_("1.2")
    group = header.create_group("phase_center_catalog").create_group("0")
    for key, value in entry.items():
        group[key] = h5py.Empty("f") if value is None else np.bytes_(value) if isinstance(value, str) else value


def main(kind, ra, dec, paths):
    for path in paths:
        with h5py.File(path, "r+") as file:
            header = file["Header"]
            longitude, latitude, _ = site(header)
            if kind == "rewritten":
                lst = sidereal_time(header["time_array"][...], longitude, 0.0)
                put_catalogue(header, {"cat_name": "search", "cat_type": "unprojected", "cat_lon": None, "cat_lat": None,
                                       "cat_frame": None, "cat_epoch": None}, lst, np.full(lst.shape, latitude), lst)
            elif kind == "catalogue":
                dut1 = 0.25
                hour_angle, app_dec, app_ra = topocentric(header, ra, dec, dut1)
                rotate(file, hour_angle, app_dec)
                put_catalogue(header, {"cat_name": "target", "cat_type": "sidereal", "cat_lon": ra, "cat_lat": dec,
                                       "cat_frame": "icrs", "cat_epoch": 2000.0}, app_ra, app_dec,
                              np.mod(hour_angle + app_ra, 2 * np.pi))
            else:
                rotate(file, *geocentric(header, ra, dec))
                for name in ("phase_type", "phase_center_app_dec"):
                    del header[name]
                header["phase_type"], header["phase_center_epoch"] = np.bytes_("phased"), 2000.0
                place = SkyCoord(ra * units.rad, dec * units.rad, frame="icrs")
                if kind == "old_fk5":
                    place = place.fk5
                    header["phase_center_frame"] = np.bytes_("fk5")
                header["phase_center_ra"], header["phase_center_dec"] = place.ra.rad, place.dec.rad


if __name__ == "__main__":
    main(sys.argv[1], np.radians(float(sys.argv[2])), np.radians(float(sys.argv[3])), sys.argv[4:])
