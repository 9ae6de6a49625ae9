#include "tests/oracle/flag_strategy.h"

#include <algorithm>
#include <cmath>

namespace contimg::oracle {
namespace {

// A line of samples along either axis, as positions in the plane.
std::vector<std::vector<std::size_t>> Lines(const Plane& plane, bool along_time) {
  std::vector<std::vector<std::size_t>> lines(along_time ? plane.n_channels : plane.n_times);
  for (std::size_t t = 0; t < plane.n_times; ++t) {
    for (std::size_t c = 0; c < plane.n_channels; ++c) lines[along_time ? c : t].push_back(t * plane.n_channels + c);
  }
  return lines;
}

void Windows(Plane& plane, std::size_t length, double limit, bool along_time) {
  std::vector<std::uint8_t> result = plane.flag;
  for (const auto& line : Lines(plane, along_time)) {
    for (std::size_t first = 0; first + length <= line.size(); ++first) {
      double sum = 0;
      int n = 0;
      for (std::size_t k = first; k < first + length; ++k) {
        if (plane.flag[line[k]] != 0) continue;
        sum += plane.value[line[k]];
        ++n;
      }
      if (n > 0 && std::abs(sum / n) > limit) {
        for (std::size_t k = first; k < first + length; ++k) result[line[k]] = 1;
      }
    }
  }
  plane.flag = result;
}

void RankAlong(Plane& plane, double eta, bool along_time) {
  const auto thousandths = std::lround(eta * 1000);
  std::vector<std::uint8_t> result = plane.flag;
  for (const auto& line : Lines(plane, along_time)) {
    for (std::size_t first = 0; first < line.size(); ++first) {
      long good = 0, all = 0;
      for (std::size_t last = first; last < line.size(); ++last) {
        good += plane.flag[line[last]] == 0;
        ++all;
        if (1000 * good <= thousandths * all) {
          for (std::size_t k = first; k <= last; ++k) result[line[k]] = 1;
        }
      }
    }
  }
  plane.flag = result;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void FlagLines(Plane& plane, double threshold, bool timesteps) {
  const auto lines = Lines(plane, !timesteps);
  std::vector<double> rms;
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    double sum = 0;
    int n = 0;
    for (std::size_t at : lines[i]) {
      if (plane.flag[at] != 0) continue;
      sum += plane.value[at] * plane.value[at];
      ++n;
    }
    if (n == 0) continue;
    rms.push_back(std::sqrt(sum / n));
    which.push_back(i);
  }
  if (rms.empty()) return;
  double median = Median(rms);
  while (!rms.empty()) {
    if (!timesteps) median = Median(rms);
    double variance = 0;
    for (double r : rms) variance += (r - median) * (r - median) / static_cast<double>(rms.size());
    std::vector<double> kept;
    std::vector<std::size_t> kept_which;
    for (std::size_t i = 0; i < rms.size(); ++i) {
      if (std::abs(rms[i] - median) > threshold * std::sqrt(variance)) {
        for (std::size_t at : lines[which[i]]) plane.flag[at] = 1;
      } else {
        kept.push_back(rms[i]);
        kept_which.push_back(which[i]);
      }
    }
    if (kept.size() == rms.size()) break;
    rms = kept;
    which = kept_which;
  }
}

}  // namespace

double WinsorizedMode(const Plane& plane) {
  std::vector<double> good;
  for (std::size_t i = 0; i < plane.value.size(); ++i) {
    if (plane.flag[i] == 0) good.push_back(plane.value[i]);
  }
  if (good.empty()) return 0;
  std::sort(good.begin(), good.end());
  const auto n = static_cast<double>(good.size());
  const double highest = good[static_cast<std::size_t>(std::max(0.0, std::floor(0.9 * n) - 1))];
  double sum = 0;
  for (double x : good) sum += std::min(x, highest) * std::min(x, highest);
  return 1.0541 * std::sqrt(sum / (2 * n));
}

void SumThreshold(Plane& plane, double limit) {
  std::fill(plane.flag.begin(), plane.flag.end(), std::uint8_t{0});
  for (int k = 0; k <= 8; ++k) {
    const std::size_t length = std::size_t{1} << k;
    const double mean_limit = limit * std::pow(1.5, k) / static_cast<double>(length);
    Windows(plane, length, mean_limit, true);
    Windows(plane, length, mean_limit, false);
  }
}

void ScaleInvariantRank(Plane& plane, double eta_times, double eta_channels) {
  RankAlong(plane, eta_times, true);
  RankAlong(plane, eta_channels, false);
}

void FlagTimesteps(Plane& plane, double threshold) { FlagLines(plane, threshold, true); }
void FlagChannels(Plane& plane, double threshold) { FlagLines(plane, threshold, false); }

Plane WithoutBackground(const Plane& original, const std::vector<std::uint8_t>& flag) {
  constexpr int kResize = 3;
  const int nt = static_cast<int>(original.n_times), nc = static_cast<int>(original.n_channels);
  const int coarse_times = (nt + kResize - 1) / kResize;
  std::vector<double> mean(static_cast<std::size_t>(coarse_times * nc));
  std::vector<int> filled(mean.size());
  for (int s = 0; s < coarse_times; ++s) {
    for (int c = 0; c < nc; ++c) {
      double sum = 0;
      int n = 0;
      for (int t = s * kResize; t < std::min(nt, (s + 1) * kResize); ++t) {
        const auto at = static_cast<std::size_t>(t * nc + c);
        if (flag[at] == 0) sum += original.value[at], ++n;
      }
      mean[static_cast<std::size_t>(s * nc + c)] = n > 0 ? sum / n : 0;
      filled[static_cast<std::size_t>(s * nc + c)] = n > 0;
    }
  }
  Plane result = original;
  result.flag = flag;
  for (int s = 0; s < coarse_times; ++s) {
    for (int c = 0; c < nc; ++c) {
      double sum = 0, norm = 0;
      for (int s2 = std::max(0, s - 10); s2 <= std::min(coarse_times - 1, s + 10); ++s2) {
        for (int c2 = std::max(0, c - 15); c2 <= std::min(nc - 1, c + 15); ++c2) {
          const auto at = static_cast<std::size_t>(s2 * nc + c2);
          if (filled[at] == 0) continue;
          const double g = std::exp(-(s2 - s) * (s2 - s) / 5.0) * std::exp(-(c2 - c) * (c2 - c) / 10.0);
          sum += g * mean[at];
          norm += g;
        }
      }
      for (int t = s * kResize; t < std::min(nt, (s + 1) * kResize); ++t) {
        result.value[static_cast<std::size_t>(t * nc + c)] -= norm > 0 ? sum / norm : 0;
      }
    }
  }
  return result;
}

std::vector<std::uint8_t> FindInterference(const std::vector<Plane>& amplitudes) {
  Plane joint(amplitudes[0].n_times, amplitudes[0].n_channels);
  for (const Plane& amplitude : amplitudes) {
    Plane data = amplitude;
    for (int round = 0; round < 3; ++round) {
      const double step = std::pow(2.0, 2 - round);
      SumThreshold(data, 6 * step * WinsorizedMode(data));
      if (round == 2) break;
      FlagTimesteps(data, 3.5);
      FlagChannels(data, 3 * step);
      data = WithoutBackground(amplitude, data.flag);
    }
    for (std::size_t i = 0; i < joint.flag.size(); ++i) joint.flag[i] |= data.flag[i];
  }
  ScaleInvariantRank(joint, 0.2, 0.2);
  std::vector<std::uint8_t> result = joint.flag;
  for (const Plane& amplitude : amplitudes) {
    Plane data = amplitude;
    data.flag = joint.flag;
    FlagTimesteps(data, 4);
    for (std::size_t i = 0; i < result.size(); ++i) result[i] |= data.flag[i];
  }
  return result;
}

}  // namespace contimg::oracle
