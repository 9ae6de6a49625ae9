#include "image/products/fits_axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <string>
#include <utility>

#include "config/units.h"

namespace contimg::image {
namespace {

// A card and the one value with which it says nothing that is not so here anyhow.
struct Neutral {
  const char* key;
  double value;
};
constexpr std::array<Neutral, 10> kNeutral{{{"CROTA1", 0},
                                            {"CROTA2", 0},
                                            {"PC001002", 0},  // as PC1_2 was spelled before there was a standard
                                            {"PC002001", 0},
                                            {"PV1_0", 0},
                                            {"PV1_1", 0},
                                            {"PV1_2", 90},
                                            {"PV1_3", 180},
                                            {"PV2_1", 0},
                                            {"PV2_2", 0}}};
constexpr double kAlike = 1e-7;  // relative: over an image of 10 000 pixels a thousandth of one

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

constexpr double kStokesI = 1;

// As the standard numbers them; empty for a number that has no name.
std::string StokesName(double number) {
  constexpr std::array<std::pair<int, const char*>, 12> kNames{{{1, "I"},
                                                                {2, "Q"},
                                                                {3, "U"},
                                                                {4, "V"},
                                                                {-1, "RR"},
                                                                {-2, "LL"},
                                                                {-3, "RL"},
                                                                {-4, "LR"},
                                                                {-5, "XX"},
                                                                {-6, "YY"},
                                                                {-7, "XY"},
                                                                {-8, "YX"}}};
  const auto found = std::find_if(kNames.begin(), kNames.end(), [&](const auto& each) { return each.first == number; });
  return found != kNames.end() ? found->second : "";
}

class AxesReader {
 public:
  AxesReader(CardReader& cards, const std::filesystem::path& path) : cards_(cards), path_(path) {}

  void Read(std::size_t nx, std::size_t ny, FitsHeader& header) {
    ImageGeometry& g = header.geometry;
    g.projection = ReadProjection();
    g.nx = nx;
    g.ny = ny;
    if (nx == 0 || ny == 0) Refuse(fmt::format("expected an image, found one of {} by {} pixels", nx, ny));
    const double ra = Needed("CRVAL1"), dec = Needed("CRVAL2");
    if (!(std::abs(ra) <= 360 && std::abs(dec) <= 90)) {
      Refuse(fmt::format("expected a place on the sky in CRVAL1 and CRVAL2, found {:g} and {:g} degrees", ra, dec));
    }
    CheckFrame();
    CheckUnit("CUNIT1", "deg");
    CheckUnit("CUNIT2", "deg");
    CheckNeutral(dec);
    g.cell_rad = Angle::Degrees(ReadCell()).rad();
    g.shift_l = (Needed("CRPIX1") - 1 - static_cast<double>(nx / 2)) * g.cell_rad;
    g.shift_m = -(Needed("CRPIX2") - 1 - static_cast<double>(ny / 2)) * g.cell_rad;
    if (std::isnan(PixelToDirection(g, static_cast<double>(nx / 2), static_cast<double>(ny / 2)).n_minus_1)) {
      Refuse("expected an image of the sky about its reference pixel, found its middle beyond the horizon of that");
    }
    header.centre = {Angle::Degrees(ra).rad(), Angle::Degrees(dec).rad()};
    CheckStokes();
    ReadFrequency(header);
  }

 private:
  [[noreturn]] void Refuse(const std::string& why) const {
    throw Error(ErrorKind::kBadInput, "image", path_.string(), why);
  }

  double Needed(const char* key) {
    const double value = cards_.Number(key, NAN);
    if (!std::isfinite(value)) Refuse(fmt::format("expected a number in {}, found none in the header", key));
    return value;
  }

  Projection ReadProjection() {
    const std::string x = cards_.Text("CTYPE1"), y = cards_.Text("CTYPE2");
    if (x == "RA---ZEA" && y == "DEC--ZEA") return Projection::kZea;
    if (x == "RA---SIN" && y == "DEC--SIN") return Projection::kSin;
    Refuse("expected axes RA---SIN and DEC--SIN (or ZEA), found '" + x + "' and '" + y + "'");
  }

  // ICRS, or FK5 of 2000, which is that to 0.03".
  void CheckFrame() {
    std::string frame = cards_.Text("RADESYS");
    if (frame.empty()) frame = cards_.Text("RADECSYS");
    if (frame == "ICRS") return;
    const double equinox = cards_.Number("EQUINOX", cards_.Number("EPOCH", 2000));
    if ((frame.empty() || frame == "FK5") && equinox == 2000) return;
    Refuse(fmt::format("expected positions in ICRS, or FK5 of equinox 2000, found RADESYS '{}' and equinox {:g}", frame,
                       equinox));
  }

  void CheckUnit(const char* key, const std::string& expected) {
    const std::string unit = Lower(cards_.Text(key));
    if (unit.empty() || unit.rfind(expected, 0) == 0) return;
    Refuse(fmt::format("expected {} '{}', found '{}'", key, expected, cards_.Text(key)));
  }

  void CheckNeutral(double dec) {
    const auto check = [this](const char* key, double value, double otherwise) {
      const double found = cards_.Number(key, otherwise);
      if (std::abs(found - value) <= kAlike) return;
      Refuse(
          fmt::format("expected an image with north up and without a slant, found {} = {:g} instead of {:g}; regrid "
                      "it first",
                      key, found, value));
    };
    for (const auto& [key, value] : kNeutral) check(key, value, value);
    check("LONPOLE", 180, dec < 90 ? 180 : 0);  // the standard's default
  }

  // Degrees.
  double ReadCell() {
    constexpr std::array<const char*, 4> kSteps{"CD1_1", "CD1_2", "CD2_1", "CD2_2"};
    const bool by_steps = std::any_of(kSteps.begin(), kSteps.end(),
                                      [this](const char* key) { return !std::isnan(cards_.Number(key, NAN)); });
    std::array<double, 4> step{};
    if (by_steps) {
      for (std::size_t i = 0; i < 4; ++i) step[i] = cards_.Number(kSteps[i], 0);
    } else {
      const double dx = Needed("CDELT1"), dy = Needed("CDELT2");
      step = {dx * cards_.Number("PC1_1", 1), dx * cards_.Number("PC1_2", 0), dy * cards_.Number("PC2_1", 0),
              dy * cards_.Number("PC2_2", 1)};
    }
    const auto [xx, xy, yx, yy] = step;
    if (xx < 0 && std::abs(xx + yy) < 1e-9 * yy && std::abs(xy) + std::abs(yx) <= kAlike * yy) return yy;
    Refuse(fmt::format(
        "expected square pixels with north up and right ascension to the left, found steps of {:.4g}, {:.4g} degrees "
        "from column to column and {:.4g}, {:.4g} from row to row; regrid it first",
        xx, yx, xy, yy));
  }

  // Of the first plane; without a word of it it is taken for I.
  void CheckStokes() {
    for (int axis = 3; axis <= 4; ++axis) {
      const std::string n = std::to_string(axis), value = "CRVAL" + n;
      if (Lower(cards_.Text(("CTYPE" + n).c_str())) != "stokes") continue;
      const double reference = cards_.Number(value.c_str(), kStokesI);
      const double first =
          reference + (1 - cards_.Number(("CRPIX" + n).c_str(), 1)) * cards_.Number(("CDELT" + n).c_str(), 1);
      if (first == kStokesI) continue;
      const std::string named = StokesName(first);
      Refuse(
          fmt::format("expected an image of Stokes I (1 on the axis STOKES), found {} = {:g}, which makes the first "
                      "plane {:g}{}; give the image of I",
                      value, reference, first, named.empty() ? "" : " (" + named + ")"));
    }
  }

  // Of the first plane. An image without such an axis may name it apart; one by velocities has none to be told here.
  void ReadFrequency(FitsHeader& header) {
    double frequency = 0, width = 0;
    bool spectral = false;
    for (int axis = 3; axis <= 4; ++axis) {
      const std::string n = std::to_string(axis), type = cards_.Text(("CTYPE" + n).c_str());
      if (type.empty() || type == "STOKES") continue;
      spectral = true;
      if (type.rfind("FREQ", 0) != 0) continue;
      CheckUnit(("CUNIT" + n).c_str(), "hz");
      width = cards_.Number(("CDELT" + n).c_str(), 0);
      frequency = cards_.Number(("CRVAL" + n).c_str(), 0) + (1 - cards_.Number(("CRPIX" + n).c_str(), 1)) * width;
    }
    if (!spectral) frequency = cards_.Number("RESTFRQ", cards_.Number("RESTFREQ", 0));
    constexpr double kLeastHz = 1e6, kMostHz = 1e13;  // what is beyond is no frequency of a radio telescope
    if (frequency >= kLeastHz && frequency <= kMostHz) header.frequency_hz = frequency;
    if (std::abs(width) <= kMostHz) header.bandwidth_hz = width;
  }

  CardReader& cards_;
  const std::filesystem::path& path_;
};

}  // namespace

void ReadAxes(CardReader& cards, const std::filesystem::path& path, std::size_t nx, std::size_t ny,
              FitsHeader& header) {
  AxesReader(cards, path).Read(nx, ny, header);
}

}  // namespace contimg::image
