#!/usr/bin/env python3
"""Makes image/operator/kernel_table.inc: the shapes of the gridding kernels. Plain Python.

The kernel is phi(z) = exp(beta W ((1 - z^2)^e - 1)), |z| <= 1, over W cells (Barnett, Magland & af Klinteberg 2019,
SIAM J. Sci. Comput. 41, C479, have e = 1/2; Arras et al. 2021, A&A 646, A58, free the exponent). For each support W and
oversampling sigma this script looks for the beta and e with the least rms aliasing over the kept part of the image,

    error^2 = 2 < sum_{m != 0} phi^(x + m)^2 / phi^(x)^2 >,   |x| <= 1/(2 sigma),   (2: two axes)

which is the rms error of an image of random visibilities relative to the rms of the image itself. phi^ is the Fourier
transform of the kernel, x counts periods of the padded image. Written are W, sigma, beta, e, the rms error and the
largest error in the corner of the image.
"""
import math
import os


def gauss_legendre(n):
    nodes, weights = [], []
    for i in range(n):
        x = math.cos(math.pi * (i + 0.75) / (n + 0.5))
        for _ in range(100):
            p0, p1 = 1.0, x
            for k in range(2, n + 1):
                p0, p1 = p1, ((2 * k - 1) * x * p1 - (k - 1) * p0) / k
            derivative = n * (x * p1 - p0) / (x * x - 1)
            step = p1 / derivative
            x -= step
            if abs(step) < 1e-15:
                break
        nodes.append(x)
        weights.append(2 / ((1 - x * x) * derivative * derivative))
    return nodes, weights


QUADRATURE = 200
NODES, WEIGHTS = gauss_legendre(QUADRATURE)
HALF = [(0.5 + 0.5 * x, 0.5 * w) for x, w in zip(NODES, WEIGHTS)]  # on [0, 1]
PIXELS, PIXEL_WEIGHTS = gauss_legendre(24)
ALIASES = 5


class Errors:
    """Aliasing of one (W, sigma): the cosines are made once, the kernel varies."""

    def __init__(self, support, sigma):
        self.support = support
        self.cosines = []
        for x in [0.5 * (1 + p) / (2 * sigma) for p in PIXELS] + [1 / (2 * sigma)]:
            rows = []
            for m in [0] + [s * k for k in range(1, ALIASES + 1) for s in (1, -1)]:
                rows.append([w * math.cos(math.pi * (x + m) * support * z) for z, w in HALF])
            self.cosines.append(rows)

    def errors(self, beta, exponent):
        """(rms, largest) over the kept image."""
        kernel = [math.exp(beta * self.support * ((1 - z * z) ** exponent - 1)) for z, _ in HALF]
        at_pixel = []
        for rows in self.cosines:
            transform = [sum(c * k for c, k in zip(row, kernel)) for row in rows]
            at_pixel.append(sum(t * t for t in transform[1:]) / (transform[0] ** 2))
        mean = sum(e * w for e, w in zip(at_pixel, PIXEL_WEIGHTS)) / sum(PIXEL_WEIGHTS)
        return math.sqrt(2 * mean), math.sqrt(2 * at_pixel[-1])


def minimise(function, start, step):
    """Nelder & Mead in two dimensions."""
    points = [start, (start[0] + step[0], start[1]), (start[0], start[1] + step[1])]
    values = [function(*p) for p in points]
    for _ in range(60):
        order = sorted(range(3), key=values.__getitem__)
        points, values = [points[i] for i in order], [values[i] for i in order]
        centre = tuple((points[0][i] + points[1][i]) / 2 for i in range(2))

        def along(t):
            p = tuple(centre[i] + t * (points[2][i] - centre[i]) for i in range(2))
            return p, function(*p)

        p, v = along(-1)
        if v < values[0]:
            q, u = along(-2)
            p, v = (q, u) if u < v else (p, v)
        elif v >= values[1]:
            p, v = along(0.5)
        if v < values[2]:
            points[2], values[2] = p, v
        else:
            points = [points[0]] + [tuple((points[0][i] + q[i]) / 2 for i in range(2)) for q in points[1:]]
            values = [values[0]] + [function(*q) for q in points[1:]]
        if max(abs(points[2][0] - points[0][0]), abs(points[2][1] - points[0][1])) < 1e-5:
            break
    return points[0]


def main():
    lines = ["// Made by image/operator/kernel_coefficients.py; do not edit.",
             "// support, sigma, beta, exponent, rms error, largest error"]
    for sigma in (1.5, 2.0):
        for support in range(4, 13):
            errors = Errors(support, sigma)

            def score(beta, exponent):
                if not (0.5 < beta < 4 and 0.3 < exponent < 0.9):
                    return 9.0
                return math.log(errors.errors(beta, exponent)[0])

            start = (math.pi * (1 - 1 / (2 * sigma)) * 0.98, 0.52)
            beta, exponent = minimise(score, start, (0.05, 0.02))
            rms, largest = errors.errors(beta, exponent)
            lines.append(f"{{{support}, {sigma}, {beta:.5f}, {exponent:.5f}, {rms:.2e}, {largest:.2e}}},")
            print(lines[-1], flush=True)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernel_table.inc")
    with open(path, "w", encoding="ascii") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
