#!/usr/bin/python3
"""Peak, noise and dynamic range of a WSClean image: image_figures.py IMAGE.fits RESIDUAL.fits. Prints one JSON object."""
import json
import sys

import numpy as np
from astropy.io import fits

image, residual = (fits.getdata(path)[0, 0].astype(float) for path in sys.argv[1:3])
rms = float(residual.std())
print(json.dumps({"peak": float(image.max()), "minimum": float(image.min()), "rms": rms,
                  "robust_rms": float(1.4826 * np.median(np.abs(residual))), "dynamic_range": float(image.max() / rms)}))
