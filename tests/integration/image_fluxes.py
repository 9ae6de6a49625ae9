#!/usr/bin/python3
"""Are the sources of a CLEANed image as bright as, and where, the simulator put them?

    image_fluxes.py PREFIX TRUTH.json MAX_FLUX_ERROR MAX_MEDIAN_ERROR MAX_OFFSET_BEAMS

Expects flux × beam (PREFIX.pb.fits) × smearing (PREFIX.smear.fits) at each source of the truth; sources stand apart. Its flux is
that at the header's frequency, and to second order in the bandwidth what its spectrum and the beam's (P ~ P0^(ν²/ν0²)) make of
the mean. Prints one line a source; status 1 when a flux, their median or a position is off.
"""
import json
import sys

import numpy as np
from astropy.io import fits

from source_positions import Image


def main():
    prefix, truth = sys.argv[1], json.load(open(sys.argv[2]))
    max_flux, max_median, max_offset = (float(v) for v in sys.argv[3:6])
    image = Image(prefix + ".image.fits")
    beam = fits.getdata(prefix + ".pb.fits")[0, 0].astype(float)
    loss = beam * fits.getdata(prefix + ".smear.fits")[0, 0]
    header = fits.getheader(prefix + ".image.fits")
    hz, variance = header["CRVAL3"], (header["CDELT3"] / header["CRVAL3"]) ** 2 / 12
    ratios, failed = [], False
    for ra, dec, flux, index in truth["sources"]:
        x, y = (int(round(float(v))) for v in image.wcs.all_world2pix(ra, dec, 0))
        flux *= (hz / 1.4e9) ** index * (1 + variance * index * ((index - 1) / 2 + 2 * np.log(beam[y, x])))
        peak, found_ra, found_dec = image.fit(ra, dec)
        east, north = (found_ra - ra) * np.cos(np.radians(dec)) * 3600, (found_dec - dec) * 3600
        ratio, offset = peak / (flux * loss[y, x]), np.hypot(east, north) / image.beam_arcsec
        bad = abs(ratio - 1) > max_flux or offset > max_offset
        failed |= bad
        ratios.append(ratio)
        print(f"{ra:10.5f} {dec:+9.5f} {1e3 * peak:8.3f} mJy, beam × smearing {loss[y, x]:.4f}, ratio {ratio:.5f}, "
              f"{offset:.4f} beams off{'  TOO FAR' if bad else ''}")
    median = np.median(ratios)
    print(f"median ratio {median:.5f}")
    return 1 if failed or abs(median - 1) > max_median else 0


if __name__ == "__main__":
    sys.exit(main())
