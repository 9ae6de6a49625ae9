#!/usr/bin/python3
"""Where sources are in an image of WSClean: fits the restoring beam around given positions.

    source_positions.py IMAGE.fits [OPTION…] TRUTH.json
    source_positions.py IMAGE.fits [OPTION…] RA,DEC[,MAX_ARCSEC] ...

Prints one line a source, then the rotation and the stretch of the field about its first source that fit best. Ends with
status 1 when a source lies farther from its position than allowed (a tenth of the restoring beam's geometric mean
width, or MAX_ARCSEC where given).

    --limit BEAMS          instead of a tenth
    --max-rotation DEG     status 1 also when the field is turned by more
    --turned DEG           the field is known to be turned by so much (north through east) about the first source
    --aberration MJD       the image's pixels are directions from the apparent place of the first source, seen at that
                           time: annual aberration stretches distances by up to 1e-4 (astropy says how much)

The fit has three parameters (amplitude, x, y); the shape is the restoring beam's, because an unresolved source in a
restored image has no other. Gauss-Newton on the pixels above 30 % of the beam's peak.
"""
import argparse
import json
import sys

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord, TETE
from astropy.io import fits
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS

FIT_LEVEL = 0.3
STEPS = 30
iers.conf.auto_download = False
iers.conf.auto_max_age = None  # a Debian release is older than its predictions are said to hold
iers.conf.iers_degraded_accuracy = "warn"


class Image:
    def __init__(self, path):
        with fits.open(path) as hdus:
            header = hdus[0].header
            self.pixels = hdus[0].data[0, 0].astype(float)
        self.wcs = WCS(header).celestial
        self.cell_arcsec = abs(header["CDELT2"]) * 3600
        self.major = header["BMAJ"] / abs(header["CDELT2"])  # full widths at half maximum, in pixels
        self.minor = header["BMIN"] / abs(header["CDELT2"])
        self.angle = np.radians(header["BPA"])  # from north through east; east is towards smaller x

    @property
    def beam_arcsec(self):
        return np.sqrt(self.major * self.minor) * self.cell_arcsec

    def beam(self, dx, dy):
        """The unit restoring beam and its derivatives with respect to x and y of the centre."""
        along = -dx * np.sin(self.angle) + dy * np.cos(self.angle)
        across = dx * np.cos(self.angle) + dy * np.sin(self.angle)
        k = 4 * np.log(2)
        g = np.exp(-k * ((along / self.major) ** 2 + (across / self.minor) ** 2))
        by_along, by_across = 2 * k * along / self.major**2, 2 * k * across / self.minor**2
        return (g, g * (-np.sin(self.angle) * by_along + np.cos(self.angle) * by_across),
                g * (np.cos(self.angle) * by_along + np.sin(self.angle) * by_across))

    def fit(self, ra_deg, dec_deg):
        """Peak flux and position (RA, Dec in degrees) of the source nearest to a position."""
        x0, y0 = (float(v) for v in self.wcs.all_world2pix(ra_deg, dec_deg, 0))
        radius = int(np.ceil(1.5 * self.major))
        left, low = int(round(x0)) - radius, int(round(y0)) - radius
        window = self.pixels[low:low + 2 * radius + 1, left:left + 2 * radius + 1]
        peak_y, peak_x = np.unravel_index(np.argmax(window), window.shape)
        grid_y, grid_x = np.indices(window.shape).astype(float)
        flux, x, y = window[peak_y, peak_x], float(peak_x), float(peak_y)
        for _ in range(STEPS):
            g, gx, gy = self.beam(grid_x - x, grid_y - y)
            use = g > FIT_LEVEL
            system = np.stack([g[use], flux * gx[use], flux * gy[use]], axis=1)
            step = np.linalg.lstsq(system, (window - flux * g)[use], rcond=None)[0]
            flux, x, y = flux + step[0], x + step[1], y + step[2]
        ra, dec = (float(v) for v in self.wcs.all_pix2world(x + left, y + low, 0))
        return flux, ra, dec


def wanted(arguments, limit_arcsec):
    """Positions with the largest allowed offset in arcsec."""
    if arguments[0].endswith(".json"):
        with open(arguments[0], encoding="utf-8") as truth:
            return [(source[0], source[1], limit_arcsec) for source in json.load(truth)["sources"]]
    positions = [[float(v) for v in argument.split(",")] for argument in arguments]
    return [(p[0], p[1], p[2] if len(p) > 2 else limit_arcsec) for p in positions]


def aberration_stretch(centre, places, mjd):
    """Mean ratio of apparent to ICRS distances from the centre."""
    frame = TETE(obstime=Time(mjd, format="mjd"))
    ratios = centre.transform_to(frame).separation(places.transform_to(frame)) / centre.separation(places)
    return float(np.mean(ratios))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--limit", type=float, default=0.1)
    parser.add_argument("--max-rotation", type=float)
    parser.add_argument("--turned", type=float, default=0.0)
    parser.add_argument("--aberration", type=float)
    args = parser.parse_args()
    image = Image(args.image)
    print(f"beam {image.major * image.cell_arcsec:.2f} x {image.minor * image.cell_arcsec:.2f} arcsec")
    sources = wanted(args.sources, args.limit * image.beam_arcsec)
    fitted = [image.fit(ra, dec) for ra, dec, _ in sources]

    # Offsets from the first source in its tangent plane, east + i north in arcsec: a turn is then a factor.
    truth = SkyCoord([s[0] for s in sources] * units.deg, [s[1] for s in sources] * units.deg)
    found = SkyCoord([f[1] for f in fitted] * units.deg, [f[2] for f in fitted] * units.deg)
    plane = truth[0].skyoffset_frame()

    def offsets(places):
        at = places.transform_to(plane)
        return (at.lon.wrap_at(180 * units.deg) + 1j * at.lat).to_value(units.arcsec)

    expected, measured = offsets(truth), offsets(found)
    stretch = 1.0 if args.aberration is None else aberration_stretch(truth[0], truth[1:], args.aberration)
    expected = expected * stretch * np.exp(-1j * np.radians(args.turned))  # north through east: clockwise with east as x
    good = True
    for (ra, dec, limit), (flux, _, _), difference in zip(sources, fitted, measured - expected):
        offset = abs(difference)
        good = good and offset <= limit
        print(f"{ra:.5f} {dec:+.5f}: {flux:.4f} Jy/beam, {difference.real:+.2f} east {difference.imag:+.2f} north "
              f"arcsec = {offset / image.beam_arcsec:.3f} beam, allowed {limit / image.beam_arcsec:.3f}")
    if len(sources) > 1:
        around = measured - measured[0]
        factor = np.vdot(expected, around) / np.vdot(expected, expected)
        rotation = -np.degrees(np.angle(factor))
        print(f"turned by {rotation:+.4f} deg, stretched by {abs(factor) - 1:+.1e} beyond what is expected"
              f" (aberration {stretch - 1:+.1e}, turn {args.turned:+.4f} deg)")
        good = good and (args.max_rotation is None or abs(rotation) <= args.max_rotation)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
