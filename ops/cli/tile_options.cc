#include "ops/cli/tile_options.h"

#include <fmt/format.h>

#include "config/error.h"
#include "config/sky_text.h"

namespace contimg::ops {

void TileFileOptions::Add(CLI::App* command) {
  command->add_option("--residual", residual, "the residual (default: PREFIX.residual.fits beside PREFIX.image.fits)")
      ->type_name("FILE");
  command->add_option("--pb", pb, "the primary beam (default: PREFIX.pb.fits)")->type_name("FILE");
  command->add_option("--smear", smear, "what smearing leaves of peaks (default: PREFIX.smear.fits)")
      ->type_name("FILE");
  command->add_option("--psf", psf, "the point-spread function (default: PREFIX.psf.fits)")->type_name("FILE");
}

mosaic::TileFileNames TileFileOptions::For(const std::string& image, bool one) const {
  if (!one && !(residual.empty() && pb.empty() && smear.empty() && psf.empty())) {
    throw Error(ErrorKind::kUsage, "mosaic", "--residual, --pb, --smear, --psf",
                "expected one image where these are given, found several: each has its own");
  }
  return {image, residual, pb, smear, psf};
}

void WarnOfMissing(const mosaic::TileFiles& files, Reporter& reporter) {
  const std::string name = files.path().filename().string();
  for (const std::string& what : files.missing()) {
    if (what == "residual") {
      reporter.Warn("mosaic",
                    fmt::format("{}: no residual, so the noise is measured on the image, sources and all", name));
    } else if (what == "primary beam") {
      reporter.Warn("mosaic", fmt::format("{}: no primary beam, so fluxes are those of the apparent sky", name));
    } else if (what == "smearing map") {
      reporter.Warn("mosaic", fmt::format("{}: no smearing map, so fluxes far from the centre are 1 to 3 % low", name));
    } else if (what == "point-spread function") {
      reporter.Warn("mosaic",
                    fmt::format("{}: no point-spread function (PREFIX.psf.fits beside it, or --psf), so what "
                                "CLEAN left of neighbours is told apart with the beam, which has no side lobes",
                                name));
    }
  }
}

SkyDirection ParsePlace(const std::string& option, const std::string& text) {
  const std::size_t comma = text.find(',');
  if (comma != std::string::npos) {
    const auto ra = ParseRightAscension(text.substr(0, comma)), dec = ParseDeclination(text.substr(comma + 1));
    if (ra && dec) return {Angle::Degrees(*ra == 360 ? 0 : *ra), Angle::Degrees(*dec)};
  }
  throw Error(ErrorKind::kUsage, "mosaic", option,
              fmt::format("expected RA,DEC in degrees or as hh:mm:ss,dd:mm:ss, found '{}'", text));
}

}  // namespace contimg::ops
