#include "image/quality/picture_style.h"

#include <fmt/format.h>

#include <cmath>

namespace contimg::image {

std::string FormatRa(double hours, bool seconds) {
  const double wrapped = std::fmod(std::fmod(hours, 24) + 24, 24);
  auto total = static_cast<long>(std::lround(wrapped * 3600)) % 86400;
  return seconds ? fmt::format("{:02d}ʰ{:02d}ᵐ{:02d}ˢ", total / 3600, total / 60 % 60, total % 60)
                 : fmt::format("{:02d}ʰ{:02d}ᵐ", total / 3600, total / 60 % 60);
}

std::string FormatDec(double degrees, bool minutes) {
  const auto total = static_cast<long>(std::lround(std::abs(degrees) * 60));
  const char* sign = degrees < 0 ? "−" : "+";
  return minutes ? fmt::format("{}{:02d}°{:02d}′", sign, total / 60, total % 60)
                 : fmt::format("{}{:02d}°", sign, total / 60);
}

std::string FormatDecSeconds(double degrees) {
  const auto total = static_cast<long>(std::lround(std::abs(degrees) * 3600));
  return fmt::format("{}{:02d}°{:02d}′{:02d}″", degrees < 0 ? "−" : "+", total / 3600, total / 60 % 60, total % 60);
}

std::string FormatFlux(double jy) {
  const double size = std::abs(jy);
  constexpr double kRounds = 1 - 5e-4;  // to three digits
  if (size >= kRounds) return fmt::format("{:.3g} Jy", jy);
  if (size >= 1e-3 * kRounds) return fmt::format("{:.3g} mJy", jy * 1e3);
  return fmt::format("{:.3g} µJy", jy * 1e6);
}

}  // namespace contimg::image
