#include "calibrate/lost_sky.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "calibrate/sky_products.h"
#include "config/parallel.h"
#include "config/robust_statistics.h"
#include "config/units.h"
#include "ingest/flag_count.h"

namespace contimg::calibrate {
namespace {

// Who seems lost is looked at again in cells of a quarter of kCellHz, which a delay of 1 µs, as raw data may have, does
// not empty. And in parts of the band, of which one in four that shows the sky will do: interference that was not
// flagged stands for sky where it is, and who sees less of it than others would seem lost.
constexpr double kFineHz = kCellHz / 4;
constexpr std::size_t kOneInParts = 4;
constexpr double kSigmas = 3;  // that the limit must be, of the noise
// Who has lost the sky shows none: not more than noise makes of nothing (once in 3000), or this part of the limit.
constexpr double kNothingSigmas = 4, kNothing = 0.25;
constexpr std::size_t kMinPartners = 4;  // receptors that see the sky, and baselines that say so
// Shorter baselines see emission that changes steeply with length; they are left out where most are longer.
constexpr double kShortestLambda = 1000;
constexpr double kFaintest = 3;  // a bin of baseline lengths serves when its power is so many σ

// One baseline with data, in the fit.
struct Measured {
  std::size_t p, q, bin;
  std::complex<double> power;  // C, in units of the baseline's total power
  double variance;
  double weight = 0;
};

// x and S fitted to the baselines of one hand.
class PowerFit {
 public:
  PowerFit(const VisibilityBlock& block, const Products& products, std::size_t hand)
      : x_(block.antennas.size()), has_data_(block.antennas.size()) {
    std::vector<double> length;
    const auto& place = block.antennas.positions_itrf_m;
    for (std::size_t b = 0; b < products.size(); ++b) {
      const Product& each = products[b][hand];
      if (!(each.pairs > 0) || !(each.variance > 0)) continue;
      const double scale = each.samples / (each.power * each.pairs);
      const auto p = static_cast<std::size_t>(block.baselines[b].antenna1);
      const auto q = static_cast<std::size_t>(block.baselines[b].antenna2);
      baselines_.push_back({p, q, 0, scale * each.sum, scale * scale * each.variance});
      const bool known = std::max(p, q) < place.size();
      length.push_back(
          known ? std::hypot(place[p][0] - place[q][0], place[p][1] - place[q][1], place[p][2] - place[q][2]) : 0.0);
    }
    std::vector<std::size_t> order(baselines_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return length[a] < length[b]; });
    const double shortest = kShortestLambda * kSpeedOfLight / block.frequency_hz.front();
    if (!order.empty() && length[order[order.size() / 2]] > shortest) {
      order.erase(std::remove_if(order.begin(), order.end(), [&](std::size_t i) { return length[i] < shortest; }),
                  order.end());
    }
    std::vector<Measured> used;
    for (const std::size_t i : order) {
      used.push_back(baselines_[i]);
      for (const std::size_t a : {used.back().p, used.back().q}) x_[a] = 1, has_data_[a] = 1;
    }
    baselines_ = std::move(used);
    const auto with_data = static_cast<std::size_t>(std::count(has_data_.begin(), has_data_.end(), 1));
    bins_.resize(std::max<std::size_t>(1, with_data / 4));
    for (std::size_t i = 0; i < baselines_.size(); ++i) baselines_[i].bin = i * bins_.size() / baselines_.size();
  }

  void Run() {
    constexpr int kMostIterations = 200;
    constexpr double kConverged = 1e-4;
    for (int i = 0; i < kMostIterations; ++i) {
      FitSky();
      if (FitReceptors() < kConverged && i > 2) break;
    }
    FitSky();
  }

  // Power and error of an antenna; the sky by the baselines of the others. Error infinite: nothing is to be expected.
  ReceptorSky Judge(std::size_t antenna) const {
    std::vector<Bin> bins = bins_;
    for (const Measured& m : baselines_) {
      if (m.p == antenna || m.q == antenna) bins[m.bin].Add(m, x_, -1);
    }
    std::complex<double> sum = 0;
    double norm = 0, variance = 0;
    std::size_t partners = 0;
    for (const Measured& m : baselines_) {
      if (m.p != antenna && m.q != antenna) continue;
      const double sky = bins[m.bin].Power();
      if (!(sky > kFaintest * bins[m.bin].Error())) continue;
      const std::complex<double> other = m.p == antenna ? x_[m.q] : x_[m.p];
      sum += m.weight * sky * (m.p == antenna ? m.power : std::conj(m.power)) * other;
      norm += m.weight * sky * sky * std::norm(other);
      variance += m.weight * m.weight * sky * sky * std::norm(other) * m.variance;
      partners += std::norm(other) > 0.01 ? 1 : 0;
    }
    ReceptorSky judged;
    judged.verdict = has_data_[antenna] != 0 ? SkyVerdict::kCannotTell : SkyVerdict::kNoData;
    judged.error = norm > 0 && partners >= kMinPartners ? std::sqrt(variance) / norm : HUGE_VAL;
    judged.power = norm > 0 ? std::abs(sum) / norm : 0;
    return judged;
  }

 private:
  struct Bin {
    double sum = 0, norm = 0, variance = 0;
    // The weighted least squares of one number.
    void Add(const Measured& m, const std::vector<std::complex<double>>& x, double sign) {
      const std::complex<double> product = x[m.p] * std::conj(x[m.q]);
      sum += sign * m.weight * (m.power * std::conj(product)).real();
      norm += sign * m.weight * std::norm(product);
      variance += sign * m.weight * m.weight * std::norm(product) * m.variance;
    }
    double Power() const { return norm > 0 ? std::max(0.0, sum / norm) : 0.0; }
    double Error() const { return norm > 0 ? std::sqrt(std::max(0.0, variance)) / norm : HUGE_VAL; }
  };

  // Baselines of one length scatter about S by about as much as S: sources beat. That bounds the weight of the strong.
  void FitSky() {
    for (Measured& m : baselines_) {
      const double sky = bins_[m.bin].Power();
      m.weight = 1 / (m.variance + sky * sky);
    }
    for (Bin& bin : bins_) bin = {};
    for (const Measured& m : baselines_) bins_[m.bin].Add(m, x_, 1);
  }

  // Half a step towards the least squares of every x with the others held; returns the largest change.
  double FitReceptors() {
    std::vector<std::complex<double>> sum(x_.size());
    std::vector<double> norm(x_.size());
    for (const Measured& m : baselines_) {
      const double sky = bins_[m.bin].Power();
      sum[m.p] += m.weight * sky * m.power * x_[m.q];
      sum[m.q] += m.weight * sky * std::conj(m.power) * x_[m.p];
      norm[m.p] += m.weight * sky * sky * std::norm(x_[m.q]);
      norm[m.q] += m.weight * sky * sky * std::norm(x_[m.p]);
    }
    std::vector<std::complex<double>> next(x_.size());
    for (std::size_t a = 0; a < x_.size(); ++a) next[a] = norm[a] > 0 ? 0.5 * (x_[a] + sum[a] / norm[a]) : 0.0;
    const double usual = Usual(next);
    double change = 0;
    for (std::size_t a = 0; a < x_.size(); ++a) {
      if (usual > 0) next[a] /= usual;
      change = std::max(change, std::abs(next[a] - x_[a]));
    }
    x_ = std::move(next);
    return change;
  }

  // The median |x| of those that see the sky: above a quarter of the mean weighted with |x| itself.
  static double Usual(const std::vector<std::complex<double>>& x) {
    double first = 0, second = 0;
    for (const auto& each : x) first += std::abs(each), second += std::norm(each);
    std::vector<double> seeing;
    for (const auto& each : x) {
      if (std::abs(each) * first > 0.25 * second) seeing.push_back(std::abs(each));
    }
    return TakeMedian(seeing);
  }

  std::vector<std::complex<double>> x_;  // [antenna], 0 without data
  std::vector<char> has_data_;           // [antenna]
  std::vector<Measured> baselines_;
  std::vector<Bin> bins_;
};

// [hand][antenna]: power and error.
std::vector<std::vector<ReceptorSky>> JudgeHands(const VisibilityBlock& block, const Products& products,
                                                 std::size_t n_hands) {
  std::vector<std::vector<ReceptorSky>> judged(n_hands);
  for (std::size_t h = 0; h < n_hands; ++h) {
    PowerFit fit(block, products, h);
    fit.Run();
    for (std::size_t a = 0; a < block.antennas.size(); ++a) judged[h].push_back(fit.Judge(a));
  }
  return judged;
}

// "X" and "Y", or "R" and "L".
char ReceptorLetter(const VisibilityBlock& block, std::size_t receptor) {
  const bool circular = !block.polarisations.empty() && block.polarisations[0] <= Polarisation::kRR &&
                        block.polarisations[0] >= Polarisation::kLR;
  return (circular ? "RL" : "XY")[receptor];
}

constexpr std::string_view kHistory = "antennas without sky: ";

}  // namespace

std::size_t LostSky::Count(SkyVerdict verdict) const {
  std::size_t n = 0;
  for (const auto& both : receptors) {
    n += static_cast<std::size_t>(
        std::count_if(both.begin(), both.end(), [&](const ReceptorSky& r) { return r.verdict == verdict; }));
  }
  return n;
}

std::vector<std::size_t> LostSky::Antennas() const {
  std::vector<std::size_t> lost;
  for (std::size_t a = 0; a < receptors.size(); ++a) {
    if (receptors[a][0].verdict == SkyVerdict::kLost || receptors[a][1].verdict == SkyVerdict::kLost) lost.push_back(a);
  }
  return lost;
}

bool LostSky::AllLost(std::size_t antenna) const {
  const auto& both = receptors[antenna];
  const auto has = [&](SkyVerdict v) { return both[0].verdict == v || both[1].verdict == v; };
  return has(SkyVerdict::kLost) && !has(SkyVerdict::kSeen) && !has(SkyVerdict::kCannotTell);
}

LostSky FindLostSky(const VisibilityBlock& block, const FlagSettings& settings, int threads) {
  LostSky lost;
  const double limit = settings.lost_sky_fraction;
  if (!(limit > 0)) return lost;
  lost.receptors.resize(block.antennas.size());
  if (block.vis.empty()) return lost;
  std::vector<std::size_t> hands;
  for (std::size_t pol = 0; pol < block.n_pols(); ++pol) {
    const auto receptors = Receptors(block.polarisations[pol]);
    if (receptors[0] == receptors[1]) hands.push_back(pol);
  }
  const std::vector<Products> parts = Multiply(block, hands, kCellHz, threads);
  std::vector<std::vector<ReceptorSky>> coarse = JudgeHands(block, Total(parts), hands.size());
  for (auto& receptors : coarse) {
    std::size_t n_seen = 0, n_below = 0, n_lost = 0, n_between = 0;
    for (ReceptorSky& each : receptors) {
      if (each.verdict == SkyVerdict::kNoData || !(kSigmas * each.error <= limit)) continue;
      const bool nothing = each.power < std::max(kNothing * limit, kNothingSigmas * each.error);
      each.verdict = each.power >= limit ? SkyVerdict::kSeen : nothing ? SkyVerdict::kLost : SkyVerdict::kCannotTell;
      ++(each.power >= limit ? n_seen : n_below);
      n_lost += each.verdict == SkyVerdict::kLost ? 1 : 0;
      n_between += each.verdict != SkyVerdict::kLost && each.power < 2 * limit ? 1 : 0;
    }
    // The sky is what most see: a fit that rests on a few has found something else. And receptors see it or do not:
    // where as many are in between it is something else, too.
    const bool is_sky = n_seen > n_below && n_seen >= kMinPartners;
    for (ReceptorSky& each : receptors) {
      const bool stands = is_sky && (each.verdict != SkyVerdict::kLost || n_lost > n_between);
      if (each.verdict != SkyVerdict::kNoData && !stands) each.verdict = SkyVerdict::kCannotTell;
    }
  }
  const auto is_lost = [](const ReceptorSky& each) { return each.verdict == SkyVerdict::kLost; };
  const bool any = std::any_of(coarse.begin(), coarse.end(), [&](const auto& receptors) {
    return std::any_of(receptors.begin(), receptors.end(), is_lost);
  });
  const auto sees = [&](const ReceptorSky& each) { return each.power >= limit + kSigmas * each.error; };
  if (any && kFineHz >= block.channel_width_hz) {
    const auto fine = JudgeHands(block, Total(Multiply(block, hands, kFineHz, threads)), hands.size());
    for (std::size_t h = 0; h < hands.size(); ++h) {
      for (std::size_t a = 0; a < coarse[h].size(); ++a) {
        if (!is_lost(coarse[h][a]) || !sees(fine[h][a])) continue;
        coarse[h][a] = fine[h][a];
        coarse[h][a].verdict = SkyVerdict::kSeen;
      }
    }
  }
  if (any && parts.size() > 1) {
    std::vector<std::vector<std::size_t>> n_seen(hands.size(), std::vector<std::size_t>(block.antennas.size()));
    std::vector<std::vector<std::vector<ReceptorSky>>> by_part(parts.size());
    ParallelFor(threads, parts.size(), [&](std::size_t i) { by_part[i] = JudgeHands(block, parts[i], hands.size()); });
    for (const auto& judged : by_part) {
      for (std::size_t h = 0; h < hands.size(); ++h) {
        for (std::size_t a = 0; a < judged[h].size(); ++a) n_seen[h][a] += sees(judged[h][a]) ? 1 : 0;
      }
    }
    for (std::size_t h = 0; h < hands.size(); ++h) {
      for (std::size_t a = 0; a < coarse[h].size(); ++a) {
        if (is_lost(coarse[h][a]) && kOneInParts * n_seen[h][a] >= parts.size())
          coarse[h][a].verdict = SkyVerdict::kCannotTell;
      }
    }
  }
  for (std::size_t h = 0; h < hands.size(); ++h) {
    const std::size_t receptor = Receptors(block.polarisations[hands[h]])[0];
    for (std::size_t a = 0; a < coarse[h].size(); ++a) lost.receptors[a][receptor] = coarse[h][a];
  }
  for (const std::size_t a : lost.Antennas()) {
    const bool second = lost.receptors[a][1].verdict == SkyVerdict::kLost;
    lost.names.push_back(block.antennas.names[a]);
    if (!lost.AllLost(a)) lost.names.back() += std::string(" ") + ReceptorLetter(block, second ? 1 : 0);
  }
  return lost;
}

std::string LostSkyHistory(const std::vector<std::string>& names) {
  return names.empty() ? "" : fmt::format("{}{}", kHistory, fmt::join(names, ", "));
}

std::vector<std::string> NamesWithoutSky(const std::vector<std::string>& history) {
  std::vector<std::string> names;
  for (const std::string& line : history) {
    if (line.rfind(kHistory, 0) != 0) continue;
    for (std::size_t at = kHistory.size(); at < line.size();) {
      const std::size_t end = std::min(line.find(", ", at), line.size());
      std::string name = line.substr(at, end - at);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
      at = end + 2;
    }
  }
  return names;
}

}  // namespace contimg::calibrate
