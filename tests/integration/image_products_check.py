#!/usr/bin/python3
"""Checks images of `contimg image` with other people's programs.

    image_products_check.py PREFIX TELESCOPE START_MJD RA,DEC,JY ...

astropy reads and verifies every FITS file against the standard, finds each source where its WCS says and with its flux
in the corrected image, and understands units, beam and dates. python3-casacore does the same with casacore images where
they exist beside the FITS files. Prints what is wrong and ends with status 1.
"""
import glob
import os
import sys
import warnings

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

prefix, telescope, start_mjd = sys.argv[1], sys.argv[2], float(sys.argv[3])
sources = [tuple(float(v) for v in word.split(",")) for word in sys.argv[4:]]
problems = []
KINDS = {"dirty": "Jy/beam", "psf": "Jy/beam", "residual": "Jy/beam", "image": "Jy/beam", "image.pbcor": "Jy/beam",
         "model": "Jy/pixel", "pb": None, "smear": None}


def check(good, text):
    if not good:
        problems.append(text)


def cards_by_the_standard(path):
    """What fitsverify looks at: blocks, card layout, characters, mandatory keywords, size of the data unit."""
    raw = open(path, "rb").read()
    check(len(raw) % 2880 == 0, f"{path}: size is no multiple of 2880")
    end = next((i for i in range(0, len(raw), 80) if raw[i:i + 80] == b"END".ljust(80)), None)
    check(end is not None, f"{path}: no END card")
    cards = [raw[i:i + 80] for i in range(0, end, 80)]
    order = [card[:8].strip().decode() for card in cards[:7]]
    check(order == ["SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "NAXIS4"], f"{path}: order {order}")
    seen = set()
    for card in cards:
        check(all(32 <= c <= 126 for c in card), f"{path}: a character that FITS forbids in {card!r}")
        key = card[:8].strip().decode("ascii", "replace")
        check(all(c.isupper() or c.isdigit() or c in "-_" for c in key), f"{path}: keyword {key!r}")
        if key not in ("HISTORY", "COMMENT", "CONTINUE", ""):
            check(key not in seen, f"{path}: {key} twice")
            check(card[8:10] == b"= ", f"{path}: no value indicator in {card!r}")
        seen.add(key)
    data = (end // 2880 + 1) * 2880
    nx, ny = (int(next(c for c in cards if c.startswith(k))[10:30]) for k in (b"NAXIS1", b"NAXIS2"))
    check(len(raw) == data + (4 * nx * ny + 2879) // 2880 * 2880, f"{path}: the data unit has the wrong size")
    tail = raw[data + 4 * nx * ny:]
    check(set(tail) <= {0}, f"{path}: padding of the data is not zero")


def peak(pixels, x, y, reach):
    """The highest pixel near (x, y), refined by parabolas: flux, x, y."""
    left, low = int(round(x)) - reach, int(round(y)) - reach
    window = pixels[low:low + 2 * reach + 1, left:left + 2 * reach + 1]
    row, column = np.unravel_index(np.nanargmax(window), window.shape)
    py, px = low + row, left + column

    def vertex(a, b, c):
        shift = 0.5 * (a - c) / (a - 2 * b + c)
        return shift, 0.25 * (a - c) * shift
    dx, gx = vertex(pixels[py, px - 1], pixels[py, px], pixels[py, px + 1])
    dy, gy = vertex(pixels[py - 1, px], pixels[py, px], pixels[py + 1, px])
    return pixels[py, px] - gx - gy, px + dx, py + dy


def check_fits(kind, unit):
    paths = [p for p in (f"{prefix}.{kind}.fits", f"{prefix}.{kind}.fits.fz") if os.path.exists(p)]
    check(len(paths) == 1, f"{prefix}.{kind}: expected one FITS file, found {paths}")
    if not paths:
        return None
    path = paths[0]
    if path.endswith(".fits"):
        cards_by_the_standard(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a keyword or unit that the standard does not know
        with fits.open(path) as hdus:
            hdus.verify("exception")
            hdu = hdus[0] if hdus[0].data is not None else hdus[1]
            header, data = hdu.header.copy(), np.array(hdu.data, dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy says that it understood DATE-OBS beside MJD-OBS
        wcs = WCS(header)
    check(wcs.naxis == data.ndim, f"{path}: {wcs.naxis} axes in the WCS")
    if unit is not None:
        check(units.Unit(header["BUNIT"]) == units.Unit(unit), f"{path}: BUNIT {header['BUNIT']}")
    celestial = wcs.celestial
    check(celestial.wcs.radesys == "ICRS", f"{path}: {celestial.wcs.radesys}")
    check(header["TELESCOP"] == telescope, f"{path}: TELESCOP {header['TELESCOP']}")
    for key in ("BTYPE", "RESTFRQ", "DATE-OBS", "DATE-END", "TIMESYS", "MJD-BEG", "MJD-AVG", "MJD-END", "OBSRA",
                "OBSDEC", "CREATOR", "SETTHASH", "HISTORY", "CALTAB1", "CALDAT1"):
        check(key in header, f"{path}: no {key}")
    check(abs(Time(header["DATE-OBS"], scale="utc").mjd - header["MJD-BEG"]) < 2e-8, f"{path}: DATE-OBS and MJD-BEG differ")
    check(abs(header["MJD-BEG"] - start_mjd) < 30 / 86400, f"{path}: MJD-BEG {header['MJD-BEG']}")
    check(abs(header["MJD-AVG"] - (header["MJD-BEG"] + header["MJD-END"]) / 2) < 1e-8, f"{path}: MJD-AVG")
    check(np.hypot((header["OBSRA"] - header["CRVAL1"]) * np.cos(np.radians(header["CRVAL2"])),
                   header["OBSDEC"] - header["CRVAL2"]) < 0.05, f"{path}: OBSRA, OBSDEC far from the phase centre")
    check(1.28e9 < header["RESTFRQ"] < 1.53e9, f"{path}: RESTFRQ {header['RESTFRQ']}")
    if data.ndim == 4:
        frequency = wcs.sub(["spectral"]).all_pix2world(0, 0)[0]
        check(abs(frequency - header["RESTFRQ"]) < 1, f"{path}: spectral axis {frequency}")
        data = data[0, 0]
    if kind in ("image", "image.pbcor", "residual"):
        check(0 < header["BMIN"] <= header["BMAJ"] < 0.1 and 0 <= header["BPA"] < 180, f"{path}: beam")
    return data, celestial, header


images = {kind: check_fits(kind, unit) for kind, unit in KINDS.items()}
if all(images.values()) and not problems:
    data, wcs, header = images["image.pbcor"]
    beam = header["BMAJ"] / header["CDELT2"]
    for ra, dec, jy in sources:
        x, y = (float(v) for v in wcs.all_world2pix(ra, dec, 0))
        flux, px, py = peak(data, x, y, int(beam))
        offset = np.hypot(px - x, py - y) / beam
        check(offset < 0.1, f"source at {ra} {dec} is {offset:.3f} beams off")
        check(abs(flux / jy - 1) < 0.05, f"source at {ra} {dec} has {flux:.4f} Jy, expected {jy:.4f}")
        print(f"{ra:.4f} {dec:.4f}: {flux:.4f} of {jy:.4f} Jy, {offset:.3f} beams off")
    with np.errstate(invalid="ignore"):
        pb, image = images["pb"][0], images["image"][0]
        inside = pb >= 0.2
        compressed = bool(glob.glob(prefix + ".image.fits.fz"))
        if not compressed:
            check(np.allclose(data[inside], image[inside] / pb[inside], rtol=1e-5, atol=1e-9), "pbcor is not image / pb")
        check(np.all(np.isnan(data[~inside])), "pbcor is not blank outside the beam")
    check(abs(images["psf"][0].max() - 1) < 1e-3, "the PSF's peak is not 1")

for kind in KINDS:
    path = f"{prefix}.{kind}"
    if not os.path.isdir(path) or images[kind] is None:
        continue
    from casacore.images import image as casacore_image
    casa = casacore_image(path)
    data, wcs, header = images[kind]
    pixels = casa.getdata()[0, 0].astype(float)
    masked = casa.getmask()[0, 0]  # true where bad
    check(casa.shape() == [1, 1, *data.shape], f"{path}: shape {casa.shape()}")
    check(np.array_equal(np.where(masked, np.nan, pixels), data, equal_nan=True), f"{path}: other pixels than the FITS image")
    check(np.array_equal(masked, np.isnan(data)), f"{path}: mask")
    if KINDS[kind] is not None:
        check(casa.unit() == KINDS[kind], f"{path}: unit {casa.unit()}")
    coordinates = casa.coordinates()
    check(coordinates.get_names() == ["spectral", "stokes", "direction"], f"{path}: {coordinates.get_names()}")
    ny, nx = data.shape
    for row, column in ((0, 0), (ny // 2, nx // 2), (ny - 1, 3), (10, nx - 1)):
        frequency, _, dec, ra = casa.toworld([0, 0, row, column])
        expected = wcs.all_pix2world(column, row, 0)
        apart = np.hypot((np.degrees(ra) - expected[0] + 180) % 360 - 180, np.degrees(dec) - expected[1])
        check(apart < 1e-7, f"{path}: pixel {row} {column} is {apart} deg from where FITS has it")
        check(abs(frequency - header["RESTFRQ"]) < 1, f"{path}: frequency {frequency}")
    info = casa.imageinfo()
    if "BMAJ" in header:
        beam = info["restoringbeam"]
        check(abs(beam["major"]["value"] - 3600 * header["BMAJ"]) < 1e-4, f"{path}: beam {beam}")
    check(casa.info()["miscinfo"]["TELESCOP"] == telescope, f"{path}: telescope")
    print(f"{path}: casacore image agrees")

for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
