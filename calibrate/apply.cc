#include "calibrate/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>

#include "calibrate/flag_report.h"
#include "config/error.h"
#include "config/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calibrate/apply.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef CONTIMG_CALIBRATE_APPLY_ROW
#define CONTIMG_CALIBRATE_APPLY_ROW
namespace contimg::calibrate::internal {
struct ApplyRow {
  float* vis;                 // re, im of X, re, im of Y, channel after channel
  float* weight;              // X, Y
  const float* factor[2][2];  // [receptor][re, im]: 1/(g_p conj(g_q)) per channel, 1 without a solution
  const float* scale[2];      // |g_p g_q|² per channel
  std::size_t n_channels;
};
}  // namespace contimg::calibrate::internal
#endif

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_ATTR HWY_INLINE void CorrectChannels(D d, const internal::ApplyRow& row, std::size_t c) {
  hn::Vec<D> v[4], w[2];
  hn::LoadInterleaved4(d, row.vis + 4 * c, v[0], v[1], v[2], v[3]);
  hn::LoadInterleaved2(d, row.weight + 2 * c, w[0], w[1]);
  for (int r = 0; r < 2; ++r) {
    const auto f_re = hn::LoadU(d, row.factor[r][0] + c), f_im = hn::LoadU(d, row.factor[r][1] + c);
    const auto re = v[2 * r], im = v[2 * r + 1];
    v[2 * r] = hn::NegMulAdd(im, f_im, hn::Mul(re, f_re));
    v[2 * r + 1] = hn::MulAdd(re, f_im, hn::Mul(im, f_re));
    w[r] = hn::Mul(w[r], hn::LoadU(d, row.scale[r] + c));
  }
  hn::StoreInterleaved4(v[0], v[1], v[2], v[3], d, row.vis + 4 * c);
  hn::StoreInterleaved2(w[0], w[1], d, row.weight + 2 * c);
}

HWY_ATTR void CorrectRow(const internal::ApplyRow& row) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t c = 0;
  for (; c + lanes <= row.n_channels; c += lanes) CorrectChannels(d, row, c);
  const hn::CappedTag<float, 1> one;
  for (; c < row.n_channels; ++c) CorrectChannels(one, row, c);
}

}  // namespace HWY_NAMESPACE
}  // namespace contimg::calibrate
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::calibrate {

HWY_EXPORT(CorrectRow);

namespace {

// The correction of one baseline in one time class, per polarisation product and channel.
struct BaselineFactors {
  std::vector<float> re, im, scale;               // [pol][channel]
  std::vector<std::vector<std::size_t>> missing;  // [pol]: channels without a solution

  void Fill(const VisibilityBlock& block, const GainCube& gains, std::size_t which, const Baseline& baseline,
            bool scale_weights) {
    const std::size_t n = gains.n_channels, n_pols = block.n_pols();
    re.resize(n_pols * n), im.resize(n_pols * n), scale.resize(n_pols * n);
    missing.assign(n_pols, {});
    for (std::size_t pol = 0; pol < n_pols; ++pol) {
      const auto [r1, r2] = Receptors(block.polarisations[pol]);
      const auto* g1 = gains.At(which, static_cast<std::size_t>(baseline.antenna1), r1);
      const auto* g2 = gains.At(which, static_cast<std::size_t>(baseline.antenna2), r2);
      for (std::size_t c = 0; c < n; ++c) {
        const float p_re = g1[c].real() * g2[c].real() + g1[c].imag() * g2[c].imag();
        const float p_im = g1[c].imag() * g2[c].real() - g1[c].real() * g2[c].imag();
        const float power = p_re * p_re + p_im * p_im;
        const std::size_t i = pol * n + c;
        if (power > 0 && std::isfinite(1 / power)) {
          re[i] = p_re / power;
          im[i] = -p_im / power;
          scale[i] = scale_weights ? power : 1.0F;
        } else {
          re[i] = scale[i] = 1;
          im[i] = 0;
          missing[pol].push_back(c);
        }
      }
    }
  }
};

}  // namespace

ApplyReport ApplyGains(VisibilityBlock& block, const GainCube& gains, const ApplyParams& params, int threads) {
  const auto [n_times, n_baselines, n_channels, n_pols] = block.shape();
  ApplyReport report;
  const FlagTally tally = TallyFlags(block, threads);
  for (std::size_t c = 0; c < n_channels; ++c) {
    report.samples += tally.samples_by_channel[c];
    report.flagged_before += tally.by_channel[c];
  }
  std::atomic<std::size_t> by_calibration{0};
  ParallelFor(
      threads, n_baselines,
      [&, n_times = n_times, n_baselines = n_baselines, n_channels = n_channels, n_pols = n_pols](std::size_t b) {
        BaselineFactors factors;
        std::size_t which = static_cast<std::size_t>(-1);
        const std::size_t counts = block.baselines[b].is_auto() ? 0 : 1;
        std::size_t n_lost = 0;
        for (std::size_t t = 0; t < n_times; ++t) {
          if (gains.class_of_time[t] != which) {
            which = gains.class_of_time[t];
            factors.Fill(block, gains, which, block.baselines[b], params.scale_weights);
          }
          const std::size_t start = (t * n_baselines + b) * n_channels * n_pols;
          Visibility* vis = block.vis.data() + start;
          float* weight = block.weight.data() + start;
          std::uint8_t* flag = block.flag.data() + start;
          if (n_pols == 2) {
            internal::ApplyRow row{};
            row.vis = reinterpret_cast<float*>(vis);
            row.weight = weight;
            for (std::size_t r = 0; r < 2; ++r) {
              row.factor[r][0] = factors.re.data() + r * n_channels;
              row.factor[r][1] = factors.im.data() + r * n_channels;
              row.scale[r] = factors.scale.data() + r * n_channels;
            }
            row.n_channels = n_channels;
            HWY_DYNAMIC_DISPATCH(CorrectRow)(row);
          } else {
            for (std::size_t c = 0; c < n_channels; ++c) {
              for (std::size_t pol = 0; pol < n_pols; ++pol) {
                const std::size_t i = pol * n_channels + c;
                vis[c * n_pols + pol] *= Visibility(factors.re[i], factors.im[i]);
                weight[c * n_pols + pol] *= factors.scale[i];
              }
            }
          }
          for (std::size_t pol = 0; pol < n_pols; ++pol) {
            for (std::size_t c : factors.missing[pol]) {
              const std::size_t i = c * n_pols + pol;
              if (flag[i] == 0 || !std::isfinite(std::norm(vis[i]))) vis[i] = 0;
              n_lost += flag[i] == 0 ? counts : 0;
              flag[i] = 1;
            }
          }
        }
        by_calibration += n_lost;
      });
  block.data_state = DataState::kCorrected;
  report.flagged_by_calibration = by_calibration;
  return report;
}

Interpolation InterpolationOf(SolutionKind kind, const CalibrateSettings& settings) {
  const std::string& word = kind == SolutionKind::kDelay      ? settings.delay_interpolation
                            : kind == SolutionKind::kBandpass ? settings.bandpass_interpolation
                                                              : settings.gain_interpolation;
  return word == "linear" ? Interpolation::kLinear : Interpolation::kNearest;
}

namespace {
constexpr std::string_view kWeightsScaled = "weights scaled by the gains", kWeightsLeft = "weights left as they were";
}  // namespace

std::vector<std::string> ApplyHistory(const std::vector<AppliedTable>& tables, const ApplyParams& params) {
  std::vector<std::string> lines;
  for (const AppliedTable& table : tables) {
    lines.push_back(fmt::format("{} {} applied to DATA, {} in time", ToString(table.kind),
                                std::filesystem::path(table.path).filename().string(),
                                table.interpolation == Interpolation::kLinear ? "linear" : "nearest"));
  }
  lines.emplace_back(params.scale_weights ? kWeightsScaled : kWeightsLeft);
  return lines;
}

bool WeightsCarryGains(const std::vector<std::string>& history) {
  // Sets made before the version that says so have weights that were scaled.
  bool applied = false, left = false;
  for (const std::string& line : history) {
    applied = applied || (line.find(" applied") != std::string::npos && line.find(" in time") != std::string::npos);
    left = left || line.find(kWeightsLeft) != std::string::npos;
  }
  return applied && !left;
}

void UndoApply(VisibilityBlock& raw, const VisibilityBlock& corrected, int threads) {
  if (raw.shape() != corrected.shape()) {
    throw Error(ErrorKind::kBug, "apply", raw.group_id, "raw and corrected data have different axes");
  }
  const std::size_t plane = raw.vis.size() / std::max<std::size_t>(1, raw.n_times());
  ParallelFor(threads, raw.n_times(), [&](std::size_t t) {
    for (std::size_t i = t * plane; i < (t + 1) * plane; ++i) {
      const double before = std::norm(std::complex<double>(raw.vis[i]));
      const double after = std::norm(std::complex<double>(corrected.vis[i]));
      if (!(before > 0) || !std::isfinite(before) || !std::isfinite(after)) continue;
      if (after > 0) {
        raw.weight[i] = static_cast<float>(raw.weight[i] * (after / before));
      } else {
        raw.flag[i] = 0;
      }
    }
  });
}

}  // namespace contimg::calibrate
#endif  // HWY_ONCE
