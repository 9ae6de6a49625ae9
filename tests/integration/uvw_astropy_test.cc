// uvw and phases against astropy's ICRS → ITRS, the same definition computed by other people's code.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/telescope.h"
#include "config/units.h"
#include "convert/phase.h"
#include "tests/integration/python_peer.h"

namespace contimg {
namespace {

// The antennas that span the array, visibilities of 1 at the correlator's phase centre: after phasing, each visibility
// is the rotation itself.
VisibilityBlock SpanningBlock(double app_dec_rad, const std::string& start) {
  VisibilityBlock block;
  for (const int number : {1, 51, 102, 103, 108, 116}) {
    const Station& station = Dsa110Stations()[static_cast<std::size_t>(number - 1)];
    const Itrf p = ToItrf(station.position());
    block.antennas.names.push_back(std::to_string(number));
    block.antennas.numbers.push_back(number - 1);
    block.antennas.positions_itrf_m.push_back({p[0], p[1], p[2]});
    block.antennas.diameters_m.push_back(kDsa110DishDiameterM);
  }
  for (int a = 0; a < 6; ++a) {
    for (int b = a + 1; b < 6; ++b) block.baselines.push_back({a, b});
  }
  for (int t = 0; t < kDsa110IntegrationsPerFile; ++t) {
    block.time_mjd_s.push_back((UtcTime::FromIso8601(start) + t * kDsa110IntegrationS).mjd_s());
    block.integration_s.push_back(kDsa110IntegrationS);
  }
  block.frequency_hz = {Dsa110ChannelFrequencyHz(15, 47), Dsa110ChannelFrequencyHz(0, 0)};
  block.channel_width_hz = block.frequency_hz[1] - block.frequency_hz[0];
  SpectralWindow window;
  window.n_channels = 2;
  block.windows.push_back(window);
  block.polarisations = {Polarisation::kXX};
  block.site = {kDsa110Centre.latitude_rad, kDsa110Centre.longitude_rad, kDsa110Centre.height_m, "telescope"};
  block.app_dec_rad = app_dec_rad;
  block.Allocate();
  for (Visibility& v : block.vis) v = 1;
  return block;
}

TEST(Uvw, AgreesWithAstropyToAMillimetreAndAMilliradian) {
  if (!HavePythonPeer("astropy")) GTEST_SKIP() << "needs python3-astropy";
  // Times are chosen so that one tile straddles RA 0h (on 22 September the meridian of the site passes it at about
  // 07:55 UTC) and one midnight UTC.
  const std::pair<double, const char*> cases[] = {{-20.0, "2025-10-13T13:28:03"}, {16.0, "2025-10-13T13:28:03"},
                                                  {37.2, "2025-10-13T13:28:03"},  {54.6, "2025-10-13T13:28:03"},
                                                  {72.0, "2025-10-13T13:28:03"},  {88.0, "2025-10-13T13:28:03"},
                                                  {16.1, "2025-09-22T07:45:40"},  {16.1, "2025-12-31T23:57:30"}};
  const std::filesystem::path table = std::filesystem::path(::testing::TempDir()) / "contimg_uvw.txt";
  std::ofstream out(table);
  bool straddles_zero = false;
  for (const auto& [dec_deg, start] : cases) {
    VisibilityBlock block = SpanningBlock(Angle::Degrees(dec_deg).rad(), start);
    const PhaseCentre centre = convert::TileCentre(block, {});
    convert::PhaseBlock(block, centre, {}, {});
    const double ra_deg = Angle::Radians(centre.ra_rad).deg();
    straddles_zero = straddles_zero || ra_deg < 0.5 || ra_deg > 359.5;
    for (std::size_t t = 0; t < block.n_times(); ++t) {
      for (std::size_t b = 0; b < block.n_baselines(); ++b) {
        const auto uvw = block.uvw_view()[t][b];
        const auto& p1 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna1)];
        const auto& p2 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna2)];
        const Visibility low = block.vis_view()(t, b, 0, 0), high = block.vis_view()(t, b, 1, 0);
        out << fmt::format("{:.17g} {:.17g} {:.17g} {:.17g} {:.17g} {} {} {} {} {} {} {} {} {} {} {} {} {}\n",
                           block.time_mjd_s[t], centre.ra_rad, centre.dec_rad, block.app_dec_rad,
                           block.site.longitude_rad, p1[0], p1[1], p1[2], p2[0], p2[1], p2[2], uvw[0], uvw[1], uvw[2],
                           block.frequency_hz[0], std::arg(low), block.frequency_hz[1], std::arg(high));
      }
    }
  }
  out.close();
  EXPECT_TRUE(straddles_zero) << "no case straddles RA 0h";
  const PeerResult result = RunPythonPeer("uvw_astropy.py", {table.string()});
  EXPECT_EQ(result.status, 0) << result.output;
  std::fputs(result.output.c_str(), stdout);
  std::filesystem::remove(table);
}

}  // namespace
}  // namespace contimg
