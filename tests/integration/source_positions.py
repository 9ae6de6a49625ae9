#!/usr/bin/python3
"""Where sources are in an image of WSClean: fits the restoring beam around given positions.

    source_positions.py IMAGE.fits TRUTH.json [max offset in beams]
    source_positions.py IMAGE.fits RA,DEC[,MAX_ARCSEC] ...

Prints one line a source and ends with status 1 when a source lies farther from its position than allowed: by default
a tenth of the restoring beam's geometric mean width, or MAX_ARCSEC where given.

The fit has three parameters (amplitude, x, y); the shape is the restoring beam's, because an unresolved source in a
restored image has no other. Gauss-Newton on the pixels above 30 % of the beam's peak.
"""
import json
import sys

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

FIT_LEVEL = 0.3
STEPS = 30


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
        """(peak flux, offset east in arcsec, offset north in arcsec) of the source nearest to a position."""
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
        east = ((ra - ra_deg + 180) % 360 - 180) * np.cos(np.radians(dec_deg)) * 3600
        return flux, east, (dec - dec_deg) * 3600


def wanted(arguments, beam_arcsec):
    """Positions with the largest allowed offset in arcsec."""
    if arguments[0].endswith(".json"):
        limit = float(arguments[1]) if len(arguments) > 1 else 0.1
        with open(arguments[0], encoding="utf-8") as truth:
            return [(source[0], source[1], limit * beam_arcsec) for source in json.load(truth)["sources"]]
    positions = [[float(v) for v in argument.split(",")] for argument in arguments]
    return [(p[0], p[1], p[2] if len(p) > 2 else 0.1 * beam_arcsec) for p in positions]


def main():
    image = Image(sys.argv[1])
    print(f"beam {image.major * image.cell_arcsec:.2f} x {image.minor * image.cell_arcsec:.2f} arcsec")
    good = True
    for ra, dec, limit in wanted(sys.argv[2:], image.beam_arcsec):
        flux, east, north = image.fit(ra, dec)
        offset = float(np.hypot(east, north))
        good = good and offset <= limit
        print(f"{ra:.5f} {dec:+.5f}: {flux:.4f} Jy/beam, {east:+.2f} east {north:+.2f} north arcsec = "
              f"{offset / image.beam_arcsec:.3f} beam, allowed {limit / image.beam_arcsec:.3f}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
