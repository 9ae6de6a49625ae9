#include "convert/phase.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "config/units.h"
#include "convert/rotate_phase.h"
#include "tests/unit/convert/test_block.h"

namespace contimg::convert {
namespace {

TEST(RotateAndConjugate, AgreesWithAPlainDoublePrecisionLoop) {
  for (const std::size_t n_pols : {1u, 2u, 4u}) {
    for (const std::size_t n_channels : {1u, 7u, 16u, 48u, 61u}) {
      const double frequency = 1.3e9, width = 244140.625, delay = -3.21e-6;
      std::vector<Visibility> vis(n_channels * n_pols);
      for (std::size_t i = 0; i < vis.size(); ++i) vis[i] = {std::cos(i * 1.7f), std::sin(i * 0.9f) + 0.5f};
      std::vector<Visibility> rotated = vis;
      RotateAndConjugate(reinterpret_cast<float*>(rotated.data()), n_channels, n_pols, frequency, width, delay);
      for (std::size_t k = 0; k < n_channels; ++k) {
        const std::complex<double> phasor = std::polar(1.0, 2 * kPi * (frequency + k * width) * delay);
        for (std::size_t p = 0; p < n_pols; ++p) {
          const std::complex<double> expected = std::conj(std::complex<double>(vis[k * n_pols + p]) * phasor);
          // Three float32 roundings of values up to 1.6.
          EXPECT_LT(std::abs(std::complex<double>(rotated[k * n_pols + p]) - expected), 6e-7);
        }
      }
    }
  }
}

// A point source in the correlator's convention becomes exp(+2πi ν (ul + vm + w(n−1))/c) with the block's uvw, where
// (l, m, n) are the source's direction cosines on the axes of the phase centre. The expected phases come from plain
// vector algebra in ITRF.
TEST(PhaseBlock, PutsASourceWhereItsDirectionCosinesSay) {
  for (const double app_dec : {-0.35, 0.28, 0.65, 0.95, 1.25, 1.53}) {
    VisibilityBlock block = MakeTestBlock({}, app_dec);
    const PhaseCentre centre = TileCentre(block, {});
    const PhaseCentre source{centre.ra_rad + 0.01 / std::cos(centre.dec_rad), centre.dec_rad - 0.012};
    for (std::size_t t = 0; t < block.n_times(); ++t) {
      const SkyFrame frame(UtcTime::FromMjdSeconds(block.time_mjd_s[t]), {});
      const Vector3 s = frame.ItrfOfIcrs(source.ra_rad, source.dec_rad);
      const Vector3 s0 = frame.ItrfOfMeridian(block.site.longitude_rad, app_dec);
      for (std::size_t b = 0; b < block.n_baselines(); ++b) {
        const auto& p1 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna1)];
        const auto& p2 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna2)];
        double path = 0;
        for (std::size_t i = 0; i < 3; ++i) path += (p2[i] - p1[i]) * (s[i] - s0[i]);
        for (std::size_t k = 0; k < block.n_channels(); ++k) {
          const auto v = std::polar(1.0, 2 * kPi * std::fmod(block.frequency_hz[k] * path / kSpeedOfLight, 1.0));
          for (std::size_t p = 0; p < 2; ++p) block.vis_view()(t, b, k, p) = Visibility(v);
        }
      }
    }
    PhaseBlock(block, centre, {}, {});
    EXPECT_EQ(block.phase_state, PhaseState::kPhased);
    double worst = 0;
    for (std::size_t t = 0; t < block.n_times(); ++t) {
      const SkyFrame frame(UtcTime::FromMjdSeconds(block.time_mjd_s[t]), {});
      const UvwAxes axes = AxesOfPhaseCentre(frame, centre);
      const Vector3 s = frame.ItrfOfIcrs(source.ra_rad, source.dec_rad);
      const double l = Dot(s, axes.u), m = Dot(s, axes.v), n = Dot(s, axes.w);
      for (std::size_t b = 0; b < block.n_baselines(); ++b) {
        const auto uvw = block.uvw_view()[t][b];
        for (std::size_t k = 0; k < block.n_channels(); ++k) {
          const double turns = block.frequency_hz[k] / kSpeedOfLight * (uvw[0] * l + uvw[1] * m + uvw[2] * (n - 1));
          const std::complex<double> v(block.vis_view()(t, b, k, 1));
          worst = std::max(worst, std::abs(std::arg(v * std::polar(1.0, -2 * kPi * turns))));
        }
      }
    }
    EXPECT_LT(worst, 2e-6) << "radians, at apparent declination " << app_dec;  // float32 visibilities
  }
}

TEST(PhaseBlock, UvwIsAntisymmetricAndClosesTriangles) {
  VisibilityBlock block = MakeTestBlock();
  PhaseBlock(block, TileCentre(block, {}), {}, {});
  const auto index = [&](int a, int b) {
    for (std::size_t i = 0; i < block.n_baselines(); ++i) {
      if (block.baselines[i].antenna1 == a && block.baselines[i].antenna2 == b) return i;
    }
    return std::size_t{0};
  };
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    const auto uvw = block.uvw_view()[t];
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(uvw(index(2, 2), i), 0);
      EXPECT_NEAR(uvw(index(0, 1), i) + uvw(index(1, 2), i), uvw(index(0, 2), i), 1e-9);
    }
    // uvw = −(antenna2 − antenna1): lengths are those of the baselines on the ground.
    const auto& p0 = block.antennas.positions_itrf_m[0];
    const auto& p4 = block.antennas.positions_itrf_m[4];
    const auto far = uvw[index(0, 4)];
    EXPECT_NEAR(std::hypot(far[0], far[1], far[2]), std::hypot(p4[0] - p0[0], p4[1] - p0[1], p4[2] - p0[2]), 1e-8);
  }
}

TEST(PhaseBlock, GivesTheSameBitsForAnyNumberOfThreads) {
  VisibilityBlock one = MakeTestBlock(), two = MakeTestBlock();
  RunContext context;
  PhaseBlock(one, TileCentre(one, {}), {}, context);
  context.threads = 2;
  PhaseBlock(two, TileCentre(two, {}), {}, context);
  EXPECT_EQ(std::vector<Visibility>(one.vis.begin(), one.vis.end()),
            std::vector<Visibility>(two.vis.begin(), two.vis.end()));
}

TEST(TileCentre, IsTheMeridianAtTheMiddleOfTheTile) {
  // Straddling midnight and, at this hour, RA 0.
  for (const char* start : {"2025-10-13T23:58:30", "2025-09-22T08:00:00"}) {
    const VisibilityBlock block = MakeTestBlock({}, 0.28, start);
    const PhaseCentre centre = TileCentre(block, {});
    const UtcTime middle = UtcTime::FromMjdSeconds(block.time_mjd_s[1]);
    const SkyFrame frame(middle, {});
    const Vector3 s = frame.ItrfOfIcrs(centre.ra_rad, centre.dec_rad);
    EXPECT_NEAR(std::atan2(s[1], s[0]), block.site.longitude_rad, 1e-9);
    EXPECT_NEAR(std::asin(s[2]), 0.28, 1e-9);
  }
}

TEST(PhasePlan, RefusesATileThatIsPhasedAlready) {
  VisibilityBlock block = MakeTestBlock();
  const PhaseCentre centre = TileCentre(block, {});
  PhaseBlock(block, centre, {}, {});
  EXPECT_THROW(PhaseBlock(block, centre, {}, {}), Error);
}

}  // namespace
}  // namespace contimg::convert
