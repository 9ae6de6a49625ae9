// Frequency compression without loss: the channels of one baseline and integration replaced by fewer nodes.
//
// Seen from one baseline the whole field lies within delays |τ| ≤ τ_max, so that exp(2πiντ) is a band-limited function
// of frequency and equals Σ_j L_j(ν) exp(2πiν_j τ) on nodes ν_j somewhat denser than Nyquist, up to an error that falls
// exponentially with the number of taps. The L_j(ν) used here minimise the mean square error over |τ| ≤ τ_max. Then
//     Σ_k w_k V_k exp(−2πiν_k τ) = Σ_j (Σ_k L_j(ν_k) w_k V_k) exp(−2πiν_j τ)
// for every direction inside the field, whatever the data are; and model visibilities at the nodes give those at all
// channels by the same L.
#pragma once

#include <cstddef>
#include <vector>

#include "config/buffer.h"

namespace contimg::image {

// One set of nodes, good for all delays up to max_delay_s.
struct FrequencyNodes {
  static constexpr int kMaxTaps = 16;
  double max_delay_s = 0;
  int taps = 0;                      // used entries of each coefficient row; 1: nodes are the channels themselves
  std::vector<double> frequency_hz;  // of the nodes, ascending
  std::vector<int> first;            // [channel]: the node of the first tap
  Buffer<float> coefficients;        // [channel][kMaxTaps], zero beyond `taps`
  std::size_t size() const { return frequency_hz.size(); }
};

struct NodeRequest {
  double max_delay_s = 0;
  double rms_error = 1e-5;  // relative, over the delays of the field
  int threads = 1;
};

class FrequencyCompression {
 public:
  // Node sets for these (ascending) channel frequencies. Delays below the largest get sets with fewer nodes, in steps
  // of about 1.12; delays whose nodes would take more than twice the memory of the channels get the channels
  // themselves.
  FrequencyCompression(const std::vector<double>& frequency_hz, const NodeRequest& request);

  const std::vector<FrequencyNodes>& sets() const { return sets_; }
  // Index of the set with the fewest nodes that serves `delay_s` (the last one when none does).
  std::size_t SetFor(double delay_s) const;

 private:
  std::vector<FrequencyNodes> sets_;  // ascending in max_delay_s and size
};

}  // namespace contimg::image
