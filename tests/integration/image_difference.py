#!/usr/bin/python3
"""The rms of the difference of two images over the rms of the second.

    image_difference.py A.fits B.fits MAX

Status 1 when it exceeds MAX.
"""
import sys

import numpy as np
from astropy.io import fits


def main():
    a, b = (np.squeeze(fits.getdata(path)).astype(float) for path in sys.argv[1:3])
    relative = np.std(a - b) / np.std(b)
    print(f"relative rms difference {relative:.2e}, {a.shape[1]} x {a.shape[0]} pixels")
    return 0 if relative <= float(sys.argv[3]) else 1


if __name__ == "__main__":
    sys.exit(main())
