// sin and cos of 2π·turn without branches or tables, so that loops over it vectorise for whatever target they are
// compiled for. Error below 1e-15 plus that of the argument.
#pragma once

#include <cmath>

namespace contimg::image {

inline void SinCosTurn(double turn, double& sine, double& cosine) {
  // Series of sin and cos of πr, |r| ≤ ½, then the double angle.
  const double x = 3.14159265358979323846 * (turn - std::rint(turn));
  const double x2 = x * x;
  double s = 1.0 / 51090942171709440000.0;
  s = s * x2 - 1.0 / 121645100408832000.0;
  s = s * x2 + 1.0 / 355687428096000.0;
  s = s * x2 - 1.0 / 1307674368000.0;
  s = s * x2 + 1.0 / 6227020800.0;
  s = s * x2 - 1.0 / 39916800.0;
  s = s * x2 + 1.0 / 362880.0;
  s = s * x2 - 1.0 / 5040.0;
  s = s * x2 + 1.0 / 120.0;
  s = s * x2 - 1.0 / 6.0;
  s = (s * x2 + 1.0) * x;
  double c = 1.0 / 2432902008176640000.0;
  c = c * x2 - 1.0 / 6402373705728000.0;
  c = c * x2 + 1.0 / 20922789888000.0;
  c = c * x2 - 1.0 / 87178291200.0;
  c = c * x2 + 1.0 / 479001600.0;
  c = c * x2 - 1.0 / 3628800.0;
  c = c * x2 + 1.0 / 40320.0;
  c = c * x2 - 1.0 / 720.0;
  c = c * x2 + 1.0 / 24.0;
  c = c * x2 - 1.0 / 2.0;
  c = c * x2 + 1.0;
  sine = 2 * s * c;
  cosine = 1 - 2 * s * s;
}

}  // namespace contimg::image
