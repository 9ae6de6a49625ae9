// The frequency at which a flux measured over a band is the source's.
#pragma once

namespace contimg::mosaic {

// Where the primary beam leaves `power` (0…1] of a source of spectrum S ∝ ν^α, the image divided by the beam has
//   S(ν_eff), ν_eff^α = Σ w P(ν) ν^α / Σ w P(ν)
// over the channels: a falling spectrum through a beam that narrows with frequency weighs the low end of the band more.
// To second order in the width of the band, with even weights w,
//   ln(ν_eff/ν̄) = −(Δν/ν̄)²/12 · (1/2 + g − α/2), g = −d ln P/d ln ν = 2x J₂(x)/J₁(x),
// x where the Airy pattern has that power (−g is the beam's own spectral index: Rau & Cornwell 2011, A&A 532, A71).
// Good to 0.04 % of a flux down to a tenth of the beam and Δν/ν̄ = 0.15; below a hundredth of it, as there. `mean_hz`:
// weighted mean of the band, ν̄; `bandwidth_hz`: Δν; 0: the mean.
double EffectiveFrequency(double mean_hz, double bandwidth_hz, double power, double alpha);

}  // namespace contimg::mosaic
