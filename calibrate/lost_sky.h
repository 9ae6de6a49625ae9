// Antennas that have noise but no sky, found from the visibilities of the tile alone: no tables, no model, no phases.
//
// The noise of two neighbouring frequencies is independent, the sky in them is all but the same. So the mean of
//   C_pq = V_pq(ν) conj V_pq(ν + δν)
// over the tile is the power of the sky on a baseline, with no bias by noise, and in units of the baseline's whole
// power the share of the sky: gains have no part in it. It is a product of what the two receptors let through,
//   C_pq / <|V_pq|²> = x_p conj(x_q) S(|b_pq|),
// arg x what a delay makes of δν, S the sky on baselines of that length. x and S are fitted alternately to all
// baselines of a hand, S in bins of length. |x| in units of what is usual among the receptors of the hand is 1 for a
// receptor that works and 0 for one that has noise only; its error comes from the scatter of the products.
// docs/flagging.md has the sensitivity, the rate of false alarms and what was measured.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

enum class SkyVerdict {
  kNoData,      // no unflagged samples, or the search is off
  kCannotTell,  // the sky is too faint against the noise, too few others show it, or interference passes for it
  kSeen,
  kLost,
};

struct ReceptorSky {
  SkyVerdict verdict = SkyVerdict::kNoData;
  double power = 0;  // share of the sky in its power, in units of what is usual among the receptors of the hand
  double error = 0;  // standard deviation of `power` by noise
};

struct LostSky {
  std::vector<std::array<ReceptorSky, 2>> receptors;  // [antenna][receptor]; empty: not searched
  // The antennas with a lost receptor, ascending, as they are spoken of: "12", and "47 X" when Y sees the sky.
  std::vector<std::string> names;

  std::size_t Count(SkyVerdict verdict) const;  // receptors
  std::vector<std::size_t> Antennas() const;    // with at least one lost receptor, ascending
  bool AllLost(std::size_t antenna) const;      // no receptor with data sees the sky
};

// Judges every receptor of the unflagged cross-correlations of the parallel hands. A receptor has lost the sky when its
// `power` is below settings.lost_sky_fraction, which must be three standard deviations at least, and no more than
// nothing (docs/flagging.md): else there is no telling, and neither when not more receptors of the hand see the sky
// than do not, or when parts of the band say otherwise. 0: not searched. Does not depend on `threads`.
LostSky FindLostSky(const VisibilityBlock& block, const FlagSettings& settings, int threads);

// The line that the HISTORY of a Measurement Set has about LostSky::names; empty when there are none.
std::string LostSkyHistory(const std::vector<std::string>& names);
// The names in all such lines of a HISTORY, each once, in the order in which they were found.
std::vector<std::string> NamesWithoutSky(const std::vector<std::string>& history);

}  // namespace contimg::calibrate
