#include "calibrate/sky_products.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "config/buffer.h"
#include "config/parallel.h"
#include "config/pool.h"

namespace contimg::calibrate {
namespace {

// A cell counts at most so many times the median power: noise is beyond it in one cell of fifty.
constexpr float kMostPower = 5.8F;
constexpr std::size_t kParts = 8, kCellsOfPart = 4;

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

bool NoneFlagged(const std::uint8_t* flag, const std::uint8_t* end) {
  std::uint64_t any = 0, eight;
  for (; end - flag >= 8; flag += 8) {
    std::memcpy(&eight, flag, 8);
    any |= eight;
  }
  for (; flag != end; ++flag) any |= *flag;
  return any == 0;
}

// `next`: a row that is read soon after.
void SumCells(const TwoHands& row, const TwoHands& next, const Cells& cells, CellSums& sums) {
  // By the flags of the two hands: ones, and all bits to keep of a sample.
  typedef std::int32_t Bits __attribute__((vector_size(16)));
  static constexpr float kGood[4][4] = {{1, 1, 1, 1}, {0, 0, 1, 1}, {1, 1, 0, 0}, {0, 0, 0, 0}};
  const float* v = reinterpret_cast<const float*>(row.vis);
  for (std::size_t k = 0; k < cells.size(); ++k) {
    Four z{}, n{};
    constexpr std::size_t kLine = 64 / (2 * sizeof(Visibility));  // channels of a line of the cache
    for (std::size_t c = cells.begin[k]; c < cells.begin[k + 1]; c += kLine) __builtin_prefetch(next.vis + 2 * c);
    if (NoneFlagged(row.flag + 2 * cells.begin[k], row.flag + 2 * cells.begin[k + 1])) {
      for (std::size_t c = cells.begin[k]; c < cells.begin[k + 1]; ++c) z += LoadFour(v + 4 * c);
      sums.z[k] = z;
      sums.n[k] = n + static_cast<float>(cells.begin[k + 1] - cells.begin[k]);
      continue;
    }
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

std::uint32_t BitsOf(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// TakeMedian of values that are not negative: their bits have their order. Looks at the twelve highest bits after the
// sign first and at the next twelve then, and keeps the values that share them with the median; unlike a partition, no
// step is a guess. (Counting exponents alone waits for itself: a few of them have all the values.)
float TakeMedianPower(std::vector<float>& powers) {
  std::size_t rank = powers.size() / 2;
  for (const unsigned shift : {19u, 7u}) {
    std::array<std::uint32_t, 4096> counts{};
    const auto key = [&](float power) { return BitsOf(power) >> shift & 0xfffu; };
    for (const float power : powers) ++counts[key(power)];
    std::uint32_t wanted = 0;
    while (rank >= counts[wanted]) rank -= counts[wanted++];
    std::size_t kept = 0;
    for (const float power : powers) {
      powers[kept] = power;
      kept += key(power) == wanted ? 1 : 0;
    }
    powers.resize(kept);
  }
  const auto middle = powers.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(powers.begin(), middle, powers.end());
  return *middle;
}

// Of one baseline.
struct CellPowers {
  Buffer<Four> all;                        // [time][cell]: of each hand twice, NaN where there are no samples
  std::array<std::vector<float>, 2> used;  // of each hand what is not
};

// Scales the cells of a baseline down that stand far out of the others of their hand: interference that was not
// flagged.
void LimitCells(std::vector<CellSums>& rows, std::size_t n_hands, CellPowers& powers) {
  const std::size_t n = rows.front().z.size();
  if (powers.all.size() != rows.size() * n) powers.all = Buffer<Four>(rows.size() * n);
  std::array<std::size_t, 2> n_used{};
  for (std::vector<float>& used : powers.used) used.resize(rows.size() * n);
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const Four *z = rows[t].z.data(), *samples = rows[t].n.data();
    for (std::size_t k = 0; k < n; ++k) {
      const Four squares = z[k] * z[k], power = (squares + Exchange(squares)) / samples[k];
      powers.all[t * n + k] = power;
      for (std::size_t h = 0; h < 2; ++h) {
        powers.used[h][n_used[h]] = power[2 * h];
        n_used[h] += samples[k][2 * h] > 0 ? 1 : 0;
      }
    }
  }
  Four limits = Four{} + std::numeric_limits<float>::infinity();
  for (std::size_t h = 0; h < n_hands; ++h) {
    powers.used[h].resize(n_used[h]);
    if (n_used[h] > 0) limits[2 * h] = limits[2 * h + 1] = kMostPower * TakeMedianPower(powers.used[h]);
  }
  const Four* power = powers.all.data();
  for (CellSums& row : rows) {
    for (std::size_t k = 0; k < n; ++k, ++power) {
      const auto above = *power > limits;
      if ((above[0] | above[2]) == 0) continue;
      for (std::size_t i = 0; i < 4; ++i) {
        if (above[i] == 0) continue;
        const float scale = std::sqrt(limits[i] / (*power)[i]);  // 0: a sample that is beyond all measure
        row.z[k][i] = scale > 0 ? scale * row.z[k][i] : 0;
      }
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

// What a thread works with, from one baseline to the next.
struct Workspace {
  std::vector<CellSums> rows;
  CellPowers powers;
  PackedRow packed;
};

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

}  // namespace

std::vector<Products> Multiply(const VisibilityBlock& block, const std::vector<std::size_t>& hands, double width_hz,
                               int threads) {
  const Cells cells = MakeCells(block, width_hz);
  const std::size_t np = block.n_pols(), nc = block.n_channels(), nb = block.n_baselines(), n = cells.size();
  const bool in_time = NeighboursAreInTime(block, cells);
  const std::size_t pairs = in_time ? n : n - 1;
  std::vector<Products> products(std::max<std::size_t>(1, std::min(kParts, pairs / kCellsOfPart)), Products(nb));
  constexpr std::size_t kBaselinesAtOnce = 64;
  Pool<Workspace> pool;
  ParallelFor(threads, (nb + kBaselinesAtOnce - 1) / kBaselinesAtOnce, [&](std::size_t part) {
    const Pool<Workspace>::Loan work = pool.Take();
    auto& [rows, powers, packed] = *work;
    for (std::size_t t = rows.size(); t < block.n_times(); ++t) rows.emplace_back(n);
    for (std::size_t b = part * kBaselinesAtOnce; b < std::min(nb, (part + 1) * kBaselinesAtOnce); ++b) {
      if (block.baselines[b].is_auto()) continue;
      for (std::size_t t = 0; t < block.n_times(); ++t) {
        const auto row_at = [&](std::size_t time) {
          const std::size_t at = (time * nb + b) * nc * np;
          return TwoHands{block.vis.data() + at, block.flag.data() + at};
        };
        const TwoHands row = row_at(t);
        if (np == 2 && hands.size() == 2) {
          SumCells(row, row_at(std::min(t + 1, block.n_times() - 1)), cells, rows[t]);
        } else {
          const TwoHands two = packed.Pack(row.vis, row.flag, nc, np, hands);
          SumCells(two, two, cells, rows[t]);
        }
      }
      LimitCells(rows, hands.size(), powers);
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

}  // namespace contimg::calibrate
