// Major cycles as the image stage runs them.
#pragma once

#include <utility>
#include <vector>

#include "config/array_view.h"
#include "config/run_context.h"
#include "config/stopwatch.h"
#include "image/clean/clean.h"
#include "image/operator/measurement_operator.h"
#include "image/response/source_spectra.h"
#include "image/response/varying_sources.h"

namespace contimg::image {

// The exact residual of one band, with what varies of bright sources and with their spectra, which each cycle improves.
class OneBandMajorCycle : public MajorCycle {
 public:
  // `reach_px`: components so close together are of one source.
  OneBandMajorCycle(const MeasurementOperator& op, const SourceVariation& variation, double reach_px)
      : op_(op), variation_(variation), spectra_(reach_px) {}
  void SetComponents(const std::vector<CleanComponent>& components, double rms_jy) override {
    spectra_.SetComponents(components, rms_jy);
    // The side lobes of a deviation are a few per cent of it: below three times the rms it does not matter.
    varying_ = variation_.Of(
        components, [&](double x, double y) { return spectra_.IndexAt(x, y); }, 3 * rms_jy);
  }
  void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) override {
    ResidualProbe probe = spectra_.Probe(variation_);
    op_.Residual(model, varying_, residual, &probe);
    spectra_.Improve(probe, variation_, varying_);
  }
  VaryingSources TakeVarying() { return std::move(varying_); }
  const SourceSpectra& spectra() const { return spectra_; }

 private:
  const MeasurementOperator& op_;
  const SourceVariation& variation_;
  SourceSpectra spectra_;
  VaryingSources varying_;
};

// Adds cancellation and the time taken.
class TimedMajorCycle : public MajorCycle {
 public:
  TimedMajorCycle(MajorCycle& inner, const RunContext& context) : inner_(inner), context_(context) {}
  void SetComponents(const std::vector<CleanComponent>& components, double rms_jy) override {
    inner_.SetComponents(components, rms_jy);
  }
  void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) override {
    context_.CheckCancelled("image");
    Stopwatch watch;
    inner_.Residual(model, residual);
    seconds += watch.Lap();
  }
  double seconds = 0;

 private:
  MajorCycle& inner_;
  const RunContext& context_;
};

}  // namespace contimg::image
