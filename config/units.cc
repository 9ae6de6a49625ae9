#include "config/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "config/error.h"

namespace contimg {

Angle Angle::Parse(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, value);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  constexpr std::array<std::pair<std::string_view, double>, 6> kUnits{{{"", kPi / 180},
                                                                       {"deg", kPi / 180},
                                                                       {"arcmin", kPi / 10800},
                                                                       {"arcsec", kPi / 648000},
                                                                       {"rad", 1.0},
                                                                       {"h", kPi / 12}}};
  if (status == std::errc() && std::isfinite(value)) {
    for (const auto& [name, factor] : kUnits) {
      if (unit == name) return Radians(value * factor);
    }
  }
  throw Error(ErrorKind::kBadInput, "config", std::string(text), "is not an angle like 12.5deg, 3arcsec or 5h");
}

Angle Separation(const SkyDirection& a, const SkyDirection& b) {
  const double delta = b.ra.rad() - a.ra.rad();
  const double sin_a = std::sin(a.dec.rad()), cos_a = std::cos(a.dec.rad());
  const double sin_b = std::sin(b.dec.rad()), cos_b = std::cos(b.dec.rad());
  const double x = cos_b * std::sin(delta);
  const double y = cos_a * sin_b - sin_a * cos_b * std::cos(delta);
  return Angle::Radians(std::atan2(std::hypot(x, y), sin_a * sin_b + cos_a * cos_b * std::cos(delta)));
}

Angle WrapPositive(Angle a) {
  const double turn = 2 * kPi;
  double r = std::fmod(a.rad(), turn);
  if (r < 0) r += turn;
  return Angle::Radians(r >= turn ? 0.0 : r);
}

Angle WrapSigned(Angle a) {
  const double r = WrapPositive(a).rad();
  return Angle::Radians(r >= kPi ? r - 2 * kPi : r);
}

SmallAngleUnit UnitFor(Angle size) {
  const double arcsec = std::abs(size.arcsec());
  if (arcsec >= 1) return {"arcsec", 1};
  return arcsec >= 1e-3 ? SmallAngleUnit{"mas", 1e-3} : SmallAngleUnit{"uas", 1e-6};
}

}  // namespace contimg
