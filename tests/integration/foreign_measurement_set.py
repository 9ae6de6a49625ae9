#!/usr/bin/python3
"""Writes a small Measurement Set as another program of another array would: astropy's sky, numpy's sums, casacore's
tables; nothing of contimg's.

    foreign_measurement_set.py OUT.ms [OPTION…]

Random stations around a place in South Africa observe a few point sources. Beside OUT.ms it writes OUT.ms.json with
"sources" ([ra, dec, Jy, 0], degrees ICRS). Visibilities are direct sums over the sources' apparent directions with an
Airy beam where the dishes point; nothing is averaged. An angle pair is RA,DEC in degrees, ICRS.

    --centre RA,DEC      phase centre
    --frame REF          in which PHASE_DIR is given, and whose north v follows: J2000, ICRS, B1950, GALACTIC; for other
                         words only the measure's reference is written
    --hours H            length; --times N integrations of 10 s are spread over it
    --track RA,DEC       the dishes follow this (default: the phase centre)
    --rest RA,DEC        the dishes are at rest on the Earth, where this stands at the middle
    --dish D             diameter, m;   --telescope NAME
    --pointing KIND      what POINTING says: none (no rows), sky (J2000), polynomial (J2000, with a first-order term
                         that a fast clock sees), azel (AZELGEO, a row for each time), hadec, itrf, target (in TARGET),
                         scattered (antennas differ), elsewhen (rows of the day before), zeros
    --reference RA,DEC   REFERENCE_DIR and DELAY_DIR, when they are not PHASE_DIR
    --delay RA,DEC       DELAY_DIR alone
    --correlations WORDS --flagged (every row) --extent M --moving (PHASE_DIR has a first-order term)
    --ephemeris (EPHEMERIS_ID 0)
    --set TABLE COLUMN VALUE    every cell of a column (JSON); TABLE MAIN for the main table; may be repeated
    --unit TABLE COLUMN UNIT, --scale REF (of TIME)
"""
import argparse
import json

import numpy as np
from astropy import units
from astropy.coordinates import EarthLocation, FK4, SkyCoord, ITRS, Galactic
from astropy.time import Time
from astropy.utils import iers
from casacore import tables

iers.conf.auto_download = False
iers.conf.iers_degraded_accuracy = "warn"
C = 299792458.0
STOKES = {"I": 1, "RR": 5, "RL": 6, "LR": 7, "LL": 8, "XX": 9, "XY": 10, "YX": 11, "YY": 12}
PLACE = EarthLocation.from_geodetic(21.44, -30.71, 1050)
START = 59000.3  # MJD


def pair(text):
    return tuple(float(v) for v in text.split(","))


def options():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--centre", type=pair, default=(83.0, -21.0))
    p.add_argument("--frame", default="J2000")
    p.add_argument("--hours", type=float, default=1.0)
    p.add_argument("--times", type=int, default=24)
    p.add_argument("--track", type=pair)
    p.add_argument("--rest", type=pair)
    p.add_argument("--dish", type=float, default=13.5)
    p.add_argument("--telescope", default="MeerKAT")
    p.add_argument("--pointing", default="none")
    p.add_argument("--reference", type=pair)
    p.add_argument("--delay", type=pair)
    p.add_argument("--correlations", default="XX,YY")
    p.add_argument("--flagged", action="store_true")
    p.add_argument("--extent", type=float, default=1500.0)
    p.add_argument("--moving", action="store_true")
    p.add_argument("--ephemeris", action="store_true")
    p.add_argument("--set", nargs=3, action="append", default=[])
    p.add_argument("--unit", nargs=3)
    p.add_argument("--scale")
    return p.parse_args()


def itrf(coordinate, times):
    """Unit vectors [time][3] towards the apparent place."""
    xyz = coordinate.transform_to(ITRS(obstime=times)).cartesian.xyz.value
    xyz = np.moveaxis(xyz, 0, -1)
    return xyz / np.linalg.norm(xyz, axis=-1, keepdims=True)


def in_frame(coordinate, frame):
    """Longitude and latitude (rad) of a direction in a frame."""
    if frame == "B1950":
        c = coordinate.transform_to(FK4(equinox="B1950"))
        return c.ra.rad, c.dec.rad
    if frame == "GALACTIC":
        c = coordinate.transform_to(Galactic())
        return c.l.rad, c.b.rad
    return coordinate.ra.rad, coordinate.dec.rad


def of_frame(longitude, latitude, frame):
    if frame == "B1950":
        return SkyCoord(longitude * units.rad, latitude * units.rad, frame=FK4(equinox="B1950")).icrs
    if frame == "GALACTIC":
        return SkyCoord(longitude * units.rad, latitude * units.rad, frame="galactic").icrs
    return SkyCoord(longitude * units.rad, latitude * units.rad, frame="icrs")


def axes(centre, frame, times):
    """East, north and outward unit vectors of the frame at its centre, [time][3] each."""
    lon, lat = in_frame(centre, frame)
    step = 1e-5
    outward = itrf(centre, times)
    north = itrf(of_frame(lon, lat + step, frame), times) - itrf(of_frame(lon, lat - step, frame), times)
    north -= np.sum(north * outward, -1, keepdims=True) * outward
    north /= np.linalg.norm(north, axis=-1, keepdims=True)
    return np.cross(north, outward), north, outward


def airy(sine, frequency, dish):
    x = np.maximum(np.pi * dish * sine * frequency / C, 1e-9)
    angle = (np.arange(200) + 0.5) * np.pi / 200
    j1 = np.mean(np.cos(angle - x[..., None] * np.sin(angle)), -1)
    return (2 * j1 / x) ** 2


def icrs(angles):
    return SkyCoord(angles[0] * units.deg, angles[1] * units.deg, frame="icrs")


def fill_pointing(ms, o, times, pointed, location, middle):
    """`pointed`: SkyCoord of the dishes' axis at each time (ICRS, topocentric up to aberration)."""
    table = tables.table(ms + "/POINTING", readonly=False, ack=False)
    n_antennas = 16
    if o.pointing == "none":
        return
    reference = {"azel": "AZELGEO", "hadec": "HADEC", "itrf": "ITRF"}.get(o.pointing, "J2000")
    table.putcolkeyword("DIRECTION", "MEASINFO", {"type": "direction", "Ref": reference})
    every = o.pointing in ("azel", "sky", "hadec")
    moments = times if every else times[[len(times) // 2]]
    length = (times[-1].mjd - times[0].mjd) * 86400 + 10
    table.addrows(len(moments) * n_antennas)
    row = 0
    for i, moment in enumerate(moments):
        where = pointed[i] if every else pointed[len(times) // 2]
        vector = itrf(where, moment)
        for antenna in range(n_antennas):
            origin, terms = 0.0, 1
            if o.pointing == "azel":
                up = np.array([np.cos(location.lat.rad) * np.cos(location.lon.rad),
                               np.cos(location.lat.rad) * np.sin(location.lon.rad), np.sin(location.lat.rad)])
                east = np.array([-np.sin(location.lon.rad), np.cos(location.lon.rad), 0])
                value = [[np.arctan2(vector @ east, vector @ np.cross(up, east)), np.arcsin(vector @ up)]]
            elif o.pointing == "hadec":
                value = [[location.lon.rad - np.arctan2(vector[1], vector[0]), np.arcsin(vector[2])]]
            elif o.pointing == "itrf":
                value = [[np.arctan2(vector[1], vector[0]), np.arcsin(vector[2])]]
            else:
                value = [[where.ra.rad, where.dec.rad]]
            if o.pointing == "zeros":
                value = [[0.0, 0.0]]
            if o.pointing == "scattered":
                value[0][1] += 0.002 * antenna
            if o.pointing == "polynomial":
                # Right at every time only when the terms and their origin are used: at TIME_ORIGIN it is a degree off.
                origin = moment.mjd * 86400 - 4000
                rate = np.radians(1.0) / 4000
                value = [[value[0][0], value[0][1] - np.radians(1.0)], [0.0, rate]]
                terms = 2
            value = np.array(value)
            table.putcell("DIRECTION", row, np.zeros((1, 2)) if o.pointing == "target" else value)
            table.putcell("TARGET", row, value)
            table.putcell("NUM_POLY", row, terms - 1)
            table.putcell("TIME_ORIGIN", row, origin)
            table.putcell("ANTENNA_ID", row, antenna)
            early = 86400.0 if o.pointing == "elsewhen" else 0.0
            table.putcell("TIME", row, moment.mjd * 86400 - early)
            table.putcell("INTERVAL", row, 10.0 if every else length)
            table.putcell("TRACKING", row, True)
            row += 1
    if o.pointing == "elsewhen":
        table.addrows(n_antennas)
        for k in range(n_antennas):
            for name in ("DIRECTION", "TARGET", "NUM_POLY", "INTERVAL", "TRACKING"):
                table.putcell(name, row + k, table.getcell(name, k))
            table.putcell("ANTENNA_ID", row + k, k)
            table.putcell("TIME", row + k, table.getcell("TIME", k) - 86400)
    table.close()


def main():
    o = options()
    random = np.random.default_rng(5)
    n, channels = 16, 4
    up = np.array([PLACE.lat.rad, PLACE.lon.rad])
    position = np.array([v.value for v in PLACE.geocentric])
    east = np.array([-np.sin(up[1]), np.cos(up[1]), 0])
    zenith = np.array([np.cos(up[0]) * np.cos(up[1]), np.cos(up[0]) * np.sin(up[1]), np.sin(up[0])])
    north = np.cross(zenith, east)
    radius = o.extent * np.sqrt(random.uniform(0.01, 1, n)) / 2
    angle = random.uniform(0, 2 * np.pi, n)
    stations = position + np.outer(radius * np.cos(angle), east) + np.outer(radius * np.sin(angle), north) + np.outer(
        random.normal(0, 3, n), zenith)
    frequency = 1.3e9 + 2e6 * np.arange(channels)

    offsets = np.linspace(-0.5, 0.5, o.times) * o.hours / 24
    times = Time(START + offsets, format="mjd", scale="utc")
    times.delta_ut1_utc = np.zeros(o.times)
    middle = Time(START, format="mjd", scale="utc")
    middle.delta_ut1_utc = 0.0
    centre = icrs(o.centre)
    cd = np.cos(centre.dec.rad)
    sources = [(o.centre[0] + x / cd, o.centre[1] + y, s, 0.0)
               for x, y, s in ((0, 0, 3.0), (0.12, 0.07, 2.0), (-0.05, 0.16, 1.5), (0.03, -0.13, 1.0))]

    # The axis of the dishes, ITRF [time][3] and ICRS.
    if o.rest:
        axis = np.repeat(itrf(icrs(o.rest), middle)[None], o.times, 0)
        pointed = [SkyCoord(ITRS(*axis[t], obstime=times[t])).icrs for t in range(o.times)]
        # A unit vector is no star: ask for the direction whose apparent place it is.
        for t in range(o.times):
            for _ in range(3):
                pointed[t] = nudge(pointed[t], axis[t] - itrf(pointed[t], times[t]), times[t])
    else:
        target = icrs(o.track or o.centre)
        axis = itrf(target, times)
        pointed = [target] * o.times

    e, m, w = axes(centre, o.frame, times)
    a1, a2 = np.triu_indices(n, 1)
    b = stations[a2] - stations[a1]
    uvw = -np.stack([b @ v.T for v in (e, m, w)], -1).transpose(1, 0, 2)  # [time][baseline][3]
    data = np.zeros((o.times, len(a1), channels), complex)
    for ra, dec, flux, _ in sources:
        s = itrf(icrs((ra, dec)), times)
        sine = np.linalg.norm(np.cross(s, axis), axis=-1)
        power = np.stack([airy(sine, f, o.dish) for f in frequency], -1)  # [time][channel]
        delay = (s - w) @ b.T  # [time][baseline], metres
        data += flux * power[:, None] * np.exp(-2j * np.pi * delay[..., None] * frequency / C)

    words = o.correlations.split(",")
    description = tables.required_ms_desc()
    description.update(tables.maketabdesc(tables.makearrcoldesc("DATA", 0j, valuetype="complex", ndim=2)))
    ms = tables.default_ms(o.out, description)
    ms.addrows(o.times * len(a1))
    mjd_s = np.repeat(times.mjd * 86400, len(a1))
    for name in ("TIME", "TIME_CENTROID"):
        ms.putcol(name, mjd_s)
    for name in ("INTERVAL", "EXPOSURE"):
        ms.putcol(name, np.full(len(mjd_s), 10.0))
    ms.putcol("ANTENNA1", np.tile(a1, o.times).astype(np.int32))
    ms.putcol("ANTENNA2", np.tile(a2, o.times).astype(np.int32))
    for name in ("DATA_DESC_ID", "FIELD_ID", "ARRAY_ID", "OBSERVATION_ID", "FEED1", "FEED2", "PROCESSOR_ID", "STATE_ID",
                 "SCAN_NUMBER"):
        ms.putcol(name, np.zeros(len(mjd_s), np.int32))
    ms.putcol("UVW", uvw.reshape(-1, 3))
    hands = [1.0 if word[0] == word[-1] else 0.0 for word in words]
    cube = data.reshape(-1, channels, 1) * np.array(hands)
    ms.putcol("DATA", cube.astype(np.complex64))
    ms.putcol("FLAG", np.full(cube.shape, o.flagged))
    ms.putcol("FLAG_ROW", np.full(len(mjd_s), o.flagged))
    ms.putcol("WEIGHT", np.ones((len(mjd_s), len(words)), np.float32))
    ms.putcol("SIGMA", np.ones((len(mjd_s), len(words)), np.float32))
    ms.close()

    def sub(name, rows):
        table = tables.table(o.out + "/" + name, readonly=False, ack=False)
        table.addrows(rows)
        return table

    t = sub("ANTENNA", n)
    t.putcol("NAME", [f"M{i:03d}" for i in range(n)])
    t.putcol("STATION", [f"M{i:03d}" for i in range(n)])
    t.putcol("POSITION", stations)
    t.putcol("OFFSET", np.zeros((n, 3)))
    t.putcol("DISH_DIAMETER", np.full(n, o.dish))
    t.putcol("MOUNT", ["ALT-AZ"] * n)
    t.putcol("TYPE", ["GROUND-BASED"] * n)
    t.close()
    t = sub("FIELD", 1)
    lon, lat = in_frame(centre, o.frame)
    if o.ephemeris:
        t.addcols(tables.makescacoldesc("EPHEMERIS_ID", 0))
        t.putcell("EPHEMERIS_ID", 0, 0)
    for name in ("PHASE_DIR", "REFERENCE_DIR", "DELAY_DIR"):
        keep = name == "PHASE_DIR" or not (o.reference or o.delay)
        t.putcolkeyword(name, "MEASINFO", {"type": "direction", "Ref": o.frame if keep else "J2000"})
        value = [[lon, lat]]
        if not keep:
            other = o.delay if name == "DELAY_DIR" and o.delay else o.reference or o.centre
            value = [list(np.radians(other))]
        if name == "PHASE_DIR" and o.moving:
            value.append([1e-6, 0.0])
        t.putcell(name, 0, np.array(value))
    t.putcell("NUM_POLY", 0, 1 if o.moving else 0)
    t.putcell("NAME", 0, "target")
    t.putcell("SOURCE_ID", 0, -1)
    t.close()
    t = sub("SPECTRAL_WINDOW", 1)
    t.putcell("CHAN_FREQ", 0, frequency)
    for name in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
        t.putcell(name, 0, np.full(channels, 2e6))
    t.putcell("NUM_CHAN", 0, channels)
    t.putcell("REF_FREQUENCY", 0, frequency[0])
    t.putcell("TOTAL_BANDWIDTH", 0, 2e6 * channels)
    t.putcell("MEAS_FREQ_REF", 0, 5)
    t.putcell("NAME", 0, "band")
    t.close()
    t = sub("POLARIZATION", 1)
    t.putcell("NUM_CORR", 0, len(words))
    t.putcell("CORR_TYPE", 0, np.array([STOKES[word] for word in words], np.int32))
    t.putcell("CORR_PRODUCT", 0, np.zeros((len(words), 2), np.int32))
    t.close()
    t = sub("DATA_DESCRIPTION", 1)
    t.putcell("SPECTRAL_WINDOW_ID", 0, 0)
    t.putcell("POLARIZATION_ID", 0, 0)
    t.close()
    t = sub("OBSERVATION", 1)
    t.putcell("TELESCOPE_NAME", 0, o.telescope)
    t.putcell("TIME_RANGE", 0, np.array([mjd_s[0] - 5, mjd_s[-1] + 5]))
    t.close()
    fill_pointing(o.out, o, times, pointed, PLACE, middle)
    open_table = lambda name: tables.table(o.out if name == "MAIN" else o.out + "/" + name, readonly=False, ack=False)
    for name, column, value in o.set:
        t = open_table(name)
        for row in range(t.nrows()):
            t.putcell(column, row, np.array(json.loads(value)) if value[0] == "[" else json.loads(value))
        t.close()
    if o.unit:
        t = open_table(o.unit[0])
        t.putcolkeyword(o.unit[1], "QuantumUnits", [o.unit[2]] * len(t.getcolkeyword(o.unit[1], "QuantumUnits")))
        t.close()
    if o.scale:
        t = open_table("MAIN")
        t.putcolkeyword("TIME", "MEASINFO", {"type": "epoch", "Ref": o.scale})
        t.close()
    with open(o.out + ".json", "w") as file:
        json.dump({"sources": sources}, file)


def nudge(direction, error, time):
    """The direction whose apparent place is nearer by `error` (ITRF)."""
    step = 1e-6
    here = itrf(direction, time)
    by_ra = (itrf(SkyCoord(direction.ra + step * units.rad, direction.dec, frame="icrs"), time) - here) / step
    by_dec = (itrf(SkyCoord(direction.ra, direction.dec + step * units.rad, frame="icrs"), time) - here) / step
    change, *_ = np.linalg.lstsq(np.stack([by_ra, by_dec], -1), error, rcond=None)
    return SkyCoord(direction.ra + change[0] * units.rad, direction.dec + change[1] * units.rad, frame="icrs")


if __name__ == "__main__":
    main()
