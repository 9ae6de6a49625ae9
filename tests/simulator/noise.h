// Random numbers that depend on what they are for, not on who asks first: the simulator's results are the same for any
// number of threads and any order of work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace contimg::simulator {

// Counter-based normal deviates: re[i], im[i] (unit variance each, independent) are a pure function of `key` and
// `counter + i`. Philox 2×32 with ten rounds (Salmon et al. 2011, SC11) and the Box-Muller transform. The arrays must
// have room for `n` rounded up to a multiple of 8.
void NormalPairs(std::uint32_t key, std::uint64_t counter, std::size_t n, double* re, double* im);

// A key made of a seed and numbers that say what it is for.
std::uint64_t MixSeed(std::initializer_list<std::uint64_t> parts);

// A short stream of random numbers (splitmix64, Steele et al. 2014) for drawing skies, gains and interference.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  double Uniform();  // [0, 1)
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  double Normal();  // mean 0, variance 1

 private:
  std::uint64_t state_;
};

}  // namespace contimg::simulator
