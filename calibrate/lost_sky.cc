#include "calibrate/lost_sky.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "config/buffer.h"
#include "config/parallel.h"
#include "config/units.h"
#include "ingest/flag_count.h"

namespace contimg::calibrate {
namespace {

// Channels are summed up to this width before neighbours are multiplied: the noise falls faster than the sky. Who seems
// lost is looked at again in cells of a quarter of it, which a delay of 1 µs, as raw data may have, does not empty.
constexpr double kCellHz = 1.5e6;
constexpr double kSigmas = 3;  // that the limit must be, of the noise
// Who has lost the sky shows none: not more than noise makes of nothing (once in 3000), or this part of the limit.
constexpr double kNothingSigmas = 4, kNothing = 0.25;
constexpr std::size_t kMinPartners = 4;  // receptors that see the sky, and baselines that say so
// Interference that was not flagged stands for sky where it is, and who sees less of it than others would seem lost. So
// who seems lost is looked at again in parts of the band: one in four that shows the sky will do.
// A cell counts at most so many times the median power: noise is beyond it in one cell of fifty.
constexpr float kMostPower = 5.8F;
constexpr std::size_t kParts = 8, kCellsOfPart = 4;
// Shorter baselines see emission that changes steeply with length; they are left out where most are longer.
constexpr double kShortestLambda = 1000;
constexpr double kFaintest = 3;  // a bin of baseline lengths serves when its power is so many σ

// What one baseline of one hand says. Z: the sum of the unflagged samples of a cell, n: their number.
struct Product {
  std::complex<double> sum;  // Σ Z conj(Z') over pairs of neighbours
  double pairs = 0;          // Σ n n', the sky's weight in `sum`
  double variance = 0;       // of either part of `sum`: Σ |Z|² |Z'|² / 2
  double power = 0;          // Σ |Z|²
  double samples = 0;        // Σ n

  Product& operator+=(const Product& other) {
    sum += other.sum;
    pairs += other.pairs;
    variance += other.variance;
    power += other.power;
    samples += other.samples;
    return *this;
  }
};

// Cells of the channel axis: `begin[k]` to `begin[k + 1]`; `joined[k]`: cell k continues cell k − 1 in frequency.
struct Cells {
  std::vector<std::size_t> begin;
  std::vector<char> joined;
  std::size_t size() const { return joined.size(); }
};

Cells MakeCells(const VisibilityBlock& block, double width_hz) {
  Cells cells;
  const auto most = static_cast<std::size_t>(std::max(1.0, width_hz / block.channel_width_hz + 0.5));
  bool gap = true;
  for (std::size_t c = 0; c < block.n_channels();) {
    cells.begin.push_back(c);
    cells.joined.push_back(gap ? 0 : 1);
    gap = false;
    for (std::size_t n = 0; n < most && c < block.n_channels() && !gap; ++n, ++c) {
      gap = c + 1 < block.n_channels() &&
            block.frequency_hz[c + 1] - block.frequency_hz[c] > 1.5 * block.channel_width_hz;
    }
  }
  cells.begin.push_back(block.n_channels());
  return cells;
}

// Re and im of the first hand, re and im of the second: the vectors of every processor hold that much.
typedef float Four __attribute__((vector_size(16)));
Four LoadFour(const float* from) {
  Four v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
// Re and im exchanged.
Four Exchange(Four v) { return __builtin_shufflevector(v, v, 1, 0, 3, 2); }

// One row of two hands, [channel][hand]. Other tiles are brought to it.
struct TwoHands {
  const Visibility* vis;
  const std::uint8_t* flag;
};

struct PackedRow {
  std::vector<Visibility> vis;
  std::vector<std::uint8_t> flag;

  // The hands at `hands` (one or two) among `np` polarisations; a hand that is not there is flagged.
  TwoHands Pack(const Visibility* from, const std::uint8_t* from_flag, std::size_t nc, std::size_t np,
                const std::vector<std::size_t>& hands) {
    vis.assign(2 * nc, Visibility());
    flag.assign(2 * nc, std::uint8_t{1});
    for (std::size_t h = 0; h < hands.size(); ++h) {
      for (std::size_t c = 0; c < nc; ++c) {
        vis[2 * c + h] = from[c * np + hands[h]];
        flag[2 * c + h] = from_flag[c * np + hands[h]];
      }
    }
    return {vis.data(), flag.data()};
  }
};

// Z and n of every cell of a row.
struct CellSums {
  explicit CellSums(std::size_t cells) : z(cells), n(cells) {}
  Buffer<Four> z, n;
};

void SumCells(const TwoHands& row, const Cells& cells, CellSums& sums) {
  // By the flags of the two hands: ones, and all bits to keep of a sample.
  typedef std::int32_t Bits __attribute__((vector_size(16)));
  static constexpr float kGood[4][4] = {{1, 1, 1, 1}, {0, 0, 1, 1}, {1, 1, 0, 0}, {0, 0, 0, 0}};
  const float* v = reinterpret_cast<const float*>(row.vis);
  for (std::size_t k = 0; k < cells.size(); ++k) {
    Four z{}, n{};
    for (std::size_t c = cells.begin[k]; c < cells.begin[k + 1]; ++c) {
      const Four good = LoadFour(kGood[(row.flag[2 * c] != 0 ? 1 : 0) + (row.flag[2 * c + 1] != 0 ? 2 : 0)]);
      const Bits kept = reinterpret_cast<Bits>(LoadFour(v + 4 * c)) & (good > 0);
      z += reinterpret_cast<Four>(kept);
      n += good;
    }
    sums.z[k] = z;
    sums.n[k] = n;
  }
}

// Scales the cells of a baseline and hand down that stand far out of the others: interference that was not flagged.
void LimitCells(std::vector<CellSums>& rows, std::size_t hand, std::vector<float>& powers) {
  const std::size_t i = 2 * hand, j = i + 1;
  const auto power = [&](const CellSums& row, std::size_t k) {
    return (row.z[k][i] * row.z[k][i] + row.z[k][j] * row.z[k][j]) / row.n[k][i];
  };
  powers.clear();
  for (const CellSums& row : rows) {
    for (std::size_t k = 0; k < row.z.size(); ++k) {
      if (row.n[k][i] > 0) powers.push_back(power(row, k));
    }
  }
  if (powers.empty()) return;
  const auto middle = powers.begin() + static_cast<std::ptrdiff_t>(powers.size() / 2);
  std::nth_element(powers.begin(), middle, powers.end());
  const float limit = kMostPower * *middle;
  for (CellSums& row : rows) {
    for (std::size_t k = 0; k < row.z.size(); ++k) {
      if (!(row.n[k][i] > 0) || !(power(row, k) > limit)) continue;
      const float scale = std::sqrt(limit / power(row, k));  // 0: a sample that is beyond all measure
      row.z[k][i] = scale > 0 ? scale * row.z[k][i] : 0;
      row.z[k][j] = scale > 0 ? scale * row.z[k][j] : 0;
    }
  }
}

// Adds the products of cells k of `a` and k + shift of `b`, begin <= k < end, where use[k] (null: all) to those of the
// two hands.
void AddProducts(const CellSums& a, const CellSums& b, std::size_t shift, const char* use, std::size_t begin,
                 std::size_t end, std::array<Product, 2>& products) {
  Four re{}, im{}, pairs{}, variance{}, power{}, samples{};
  for (std::size_t k = begin; k < end; ++k) {
    if (use != nullptr && use[k] == 0) continue;
    const Four za = a.z[k], zb = b.z[k + shift], na = a.n[k];
    const Four squares_a = za * za, squares_b = zb * zb;
    re += za * zb;
    im += za * Exchange(zb);
    pairs += na * b.n[k + shift];
    variance += (squares_a + Exchange(squares_a)) * (squares_b + Exchange(squares_b));
    power += squares_a;
    samples += na;
  }
  for (std::size_t h = 0; h < 2; ++h) {
    const std::size_t i = 2 * h, j = i + 1;
    if (!std::isfinite(variance[i])) continue;  // a sample that is beyond all measure
    Product& product = products[h];
    product.sum += std::complex<double>(double{re[i]} + double{re[j]}, double{im[j]} - double{im[i]});
    product.pairs += pairs[i];
    product.variance += 0.5 * variance[i];
    product.power += double{power[i]} + double{power[j]};
    product.samples += samples[i];
  }
}

using Products = std::vector<std::array<Product, 2>>;  // [baseline][hand]

// Whether neighbours in time are more alike than neighbours in frequency: channels are wide, and the Earth turns
// sources off the centre by less within an integration than their phase differs between channels. So are data of one
// cell.
bool NeighboursAreInTime(const VisibilityBlock& block, const Cells& cells) {
  if (std::count(cells.joined.begin(), cells.joined.end(), 1) == 0) return true;
  if (block.channel_width_hz <= kCellHz || block.n_times() < 2) return false;
  constexpr double kEarthRadPerS = 7.292e-5;
  const double turn = kEarthRadPerS * (block.time_mjd_s[1] - block.time_mjd_s[0]);
  return turn * block.frequency_hz.front() < block.channel_width_hz;
}

// By part of the band, all of about as many cells: the hands (one or two) at the positions `hands`, in cells of
// `width_hz`.
std::vector<Products> Multiply(const VisibilityBlock& block, const std::vector<std::size_t>& hands, double width_hz,
                               int threads) {
  const Cells cells = MakeCells(block, width_hz);
  const std::size_t np = block.n_pols(), nc = block.n_channels(), nb = block.n_baselines(), n = cells.size();
  const bool in_time = NeighboursAreInTime(block, cells);
  const std::size_t pairs = in_time ? n : n - 1;
  std::vector<Products> products(std::max<std::size_t>(1, std::min(kParts, pairs / kCellsOfPart)), Products(nb));
  constexpr std::size_t kBaselinesAtOnce = 64;
  ParallelFor(threads, (nb + kBaselinesAtOnce - 1) / kBaselinesAtOnce, [&](std::size_t part) {
    std::vector<CellSums> rows;
    for (std::size_t t = 0; t < block.n_times(); ++t) rows.emplace_back(n);
    std::vector<float> powers;
    PackedRow packed;
    for (std::size_t b = part * kBaselinesAtOnce; b < std::min(nb, (part + 1) * kBaselinesAtOnce); ++b) {
      if (block.baselines[b].is_auto()) continue;
      for (std::size_t t = 0; t < block.n_times(); ++t) {
        const Visibility* vis = block.vis.data() + (t * nb + b) * nc * np;
        const std::uint8_t* flag = block.flag.data() + (t * nb + b) * nc * np;
        SumCells(np == 2 && hands.size() == 2 ? TwoHands{vis, flag} : packed.Pack(vis, flag, nc, np, hands), cells,
                 rows[t]);
      }
      for (std::size_t h = 0; h < hands.size(); ++h) LimitCells(rows, h, powers);
      for (std::size_t t = in_time ? 1 : 0; t < block.n_times(); ++t) {
        for (std::size_t i = 0; i < products.size(); ++i) {
          const std::size_t begin = i * pairs / products.size(), end = (i + 1) * pairs / products.size();
          if (in_time) {
            AddProducts(rows[t], rows[t - 1], 0, nullptr, begin, end, products[i][b]);
          } else {
            AddProducts(rows[t], rows[t], 1, cells.joined.data() + 1, begin, end, products[i][b]);
          }
        }
      }
    }
  });
  return products;
}

Products Total(const std::vector<Products>& parts) {
  Products total = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    for (std::size_t b = 0; b < total.size(); ++b) {
      for (std::size_t h = 0; h < 2; ++h) total[b][h] += parts[i][b][h];
    }
  }
  return total;
}

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
    if (seeing.empty()) return 0;
    const auto middle = seeing.begin() + static_cast<std::ptrdiff_t>(seeing.size() / 2);
    std::nth_element(seeing.begin(), middle, seeing.end());
    return *middle;
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
  if (any && kCellHz / 4 >= block.channel_width_hz) {
    const auto fine = JudgeHands(block, Total(Multiply(block, hands, kCellHz / 4, threads)), hands.size());
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
    for (const Products& part : parts) {
      const auto judged = JudgeHands(block, part, hands.size());
      for (std::size_t h = 0; h < hands.size(); ++h) {
        for (std::size_t a = 0; a < judged[h].size(); ++a) n_seen[h][a] += sees(judged[h][a]) ? 1 : 0;
      }
    }
    for (std::size_t h = 0; h < hands.size(); ++h) {
      for (std::size_t a = 0; a < coarse[h].size(); ++a) {
        if (is_lost(coarse[h][a]) && 4 * n_seen[h][a] >= parts.size()) coarse[h][a].verdict = SkyVerdict::kCannotTell;
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
