#include "convert/casacore/subtables.h"

#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Arrays/Vector.h>
#include <casacore/measures/Measures/MDirection.h>
#include <casacore/measures/Measures/MFrequency.h>
#include <casacore/measures/Measures/Stokes.h>
#include <casacore/ms/MeasurementSets/MSColumns.h>
#include <casacore/tables/DataMan/StandardStMan.h>
#include <casacore/tables/Tables/SetupNewTab.h>
#include <casacore/tables/Tables/TableRecord.h>

#include "config/error.h"
#include "config/time.h"

namespace contimg::convert::internal {
namespace {

using casacore::Matrix;
using casacore::String;
using casacore::Vector;

// An interval that covers any observation, for rows that hold at all times.
constexpr double kAlwaysSeconds = 1e12;

bool IsCircular(const VisibilityBlock& block) {
  const auto first = static_cast<int>(block.polarisations.front());
  return first <= -1 && first >= -4;
}

// CASA's number and the two receptors of each product.
struct Product {
  int stokes;
  int receptor1, receptor2;
};

Product ProductOf(Polarisation polarisation) {
  switch (polarisation) {
    case Polarisation::kXX:
      return {casacore::Stokes::XX, 0, 0};
    case Polarisation::kXY:
      return {casacore::Stokes::XY, 0, 1};
    case Polarisation::kYX:
      return {casacore::Stokes::YX, 1, 0};
    case Polarisation::kYY:
      return {casacore::Stokes::YY, 1, 1};
    case Polarisation::kRR:
      return {casacore::Stokes::RR, 0, 0};
    case Polarisation::kRL:
      return {casacore::Stokes::RL, 0, 1};
    case Polarisation::kLR:
      return {casacore::Stokes::LR, 1, 0};
    case Polarisation::kLL:
      return {casacore::Stokes::LL, 1, 1};
    case Polarisation::kI:
      return {casacore::Stokes::I, 0, 0};
  }
  throw Error(ErrorKind::kBug, "convert", "", "unknown polarisation");
}

void FillAntennas(casacore::MS& ms, const AntennaTable& antennas) {
  ms.antenna().addRow(antennas.size());
  casacore::MSAntennaColumns columns(ms.antenna());
  for (std::size_t i = 0; i < antennas.size(); ++i) {
    Vector<double> position(3);
    for (unsigned k = 0; k < 3; ++k) position[k] = antennas.positions_itrf_m[i][k];
    columns.name().put(i, antennas.names[i]);
    columns.station().put(i, antennas.names[i]);
    columns.type().put(i, "GROUND-BASED");
    columns.mount().put(i, "ALT-AZ");
    columns.position().put(i, position);
    columns.offset().put(i, Vector<double>(3, 0.0));
    columns.dishDiameter().put(i, antennas.diameters_m[i]);
    columns.flagRow().put(i, false);
  }
}

void FillFeeds(casacore::MS& ms, const VisibilityBlock& block, double middle_mjd_s) {
  const std::size_t n = block.antennas.size();
  ms.feed().addRow(n);
  casacore::MSFeedColumns columns(ms.feed());
  Vector<String> types(2);
  types[0] = IsCircular(block) ? "R" : "X";
  types[1] = IsCircular(block) ? "L" : "Y";
  Matrix<casacore::Complex> response(2, 2, casacore::Complex(0));
  response(0, 0) = response(1, 1) = 1;
  for (std::size_t i = 0; i < n; ++i) {
    columns.antennaId().put(i, static_cast<int>(i));
    columns.feedId().put(i, 0);
    columns.spectralWindowId().put(i, -1);
    columns.time().put(i, middle_mjd_s);
    columns.interval().put(i, kAlwaysSeconds);
    columns.numReceptors().put(i, 2);
    columns.beamId().put(i, -1);
    columns.beamOffset().put(i, Matrix<double>(2, 2, 0.0));
    columns.polarizationType().put(i, types);
    columns.polResponse().put(i, response);
    columns.position().put(i, Vector<double>(3, 0.0));
    columns.receptorAngle().put(i, Vector<double>(2, 0.0));
  }
}

void FillFieldAndSource(casacore::MS& ms, const PhaseCentre& centre, const std::string& name, double middle_mjd_s,
                        double span_s) {
  casacore::MSFieldColumns field(ms.field());
  field.setDirectionRef(casacore::MDirection::ICRS);  // while the table is empty
  ms.field().addRow(1);
  Matrix<double> direction(2, 1);
  direction(0, 0) = centre.ra_rad;
  direction(1, 0) = centre.dec_rad;
  field.name().put(0, name);
  field.code().put(0, "");
  field.time().put(0, middle_mjd_s);
  field.numPoly().put(0, 0);
  field.delayDir().put(0, direction);
  field.phaseDir().put(0, direction);
  field.referenceDir().put(0, direction);
  field.sourceId().put(0, 0);
  field.flagRow().put(0, false);

  casacore::TableDesc description = casacore::MSSource::requiredTableDesc();
  casacore::SetupNewTable setup(ms.sourceTableName(), description, casacore::Table::New);
  setup.bindAll(casacore::StandardStMan("Standard"));
  ms.rwKeywordSet().defineTable(casacore::MS::keywordName(casacore::MS::SOURCE), casacore::Table(setup));
  ms.initRefs();
  ms.source().addRow(1);
  casacore::MSSourceColumns source(ms.source());
  casacore::ArrayColumn<double> direction_column(ms.source(), "DIRECTION");
  casacore::TableRecord& keywords = direction_column.rwKeywordSet();
  casacore::Record info;
  info.define("type", "direction");
  info.define("Ref", "ICRS");
  keywords.defineRecord("MEASINFO", info);
  source.sourceId().put(0, 0);
  source.time().put(0, middle_mjd_s);
  source.interval().put(0, span_s);
  source.spectralWindowId().put(0, -1);
  source.numLines().put(0, 0);
  source.name().put(0, name);
  source.calibrationGroup().put(0, 0);
  source.code().put(0, "");
  Vector<double> position(2);
  position[0] = centre.ra_rad;
  position[1] = centre.dec_rad;
  source.direction().put(0, position);
  source.properMotion().put(0, Vector<double>(2, 0.0));
}

void FillSpectralWindows(casacore::MS& ms, const VisibilityBlock& block) {
  const std::size_t n_windows = block.windows.size();
  ms.spectralWindow().addRow(n_windows);
  ms.dataDescription().addRow(n_windows);
  casacore::MSSpWindowColumns spw(ms.spectralWindow());
  casacore::MSDataDescColumns description(ms.dataDescription());
  for (std::size_t w = 0; w < n_windows; ++w) {
    const SpectralWindow& window = block.windows[w];
    Vector<double> frequency(window.n_channels), width(window.n_channels, block.channel_width_hz);
    for (std::size_t k = 0; k < window.n_channels; ++k) frequency[k] = block.frequency_hz[window.first_channel + k];
    const std::string name = window.subband < 0
                                 ? "spw" + std::to_string(w)
                                 : "sb" + std::string(window.subband < 10 ? "0" : "") + std::to_string(window.subband);
    spw.name().put(w, name);
    spw.numChan().put(w, static_cast<int>(window.n_channels));
    spw.refFrequency().put(w, frequency[0]);
    spw.chanFreq().put(w, frequency);
    spw.chanWidth().put(w, width);
    spw.effectiveBW().put(w, width);
    spw.resolution().put(w, width);
    spw.totalBandwidth().put(w, block.channel_width_hz * static_cast<double>(window.n_channels));
    spw.measFreqRef().put(w, casacore::MFrequency::TOPO);
    spw.netSideband().put(w, 1);
    spw.ifConvChain().put(w, 0);
    spw.freqGroup().put(w, 0);
    spw.freqGroupName().put(w, "");
    spw.flagRow().put(w, false);
    description.spectralWindowId().put(w, static_cast<int>(w));
    description.polarizationId().put(w, 0);
    description.flagRow().put(w, false);
  }
}

void FillPolarisation(casacore::MS& ms, const VisibilityBlock& block) {
  const std::size_t n = block.n_pols();
  ms.polarization().addRow(1);
  casacore::MSPolarizationColumns columns(ms.polarization());
  Vector<int> types(n);
  Matrix<int> products(2, n);
  for (std::size_t p = 0; p < n; ++p) {
    const Product product = ProductOf(block.polarisations[p]);
    types[p] = product.stokes;
    products(0, p) = product.receptor1;
    products(1, p) = product.receptor2;
  }
  columns.numCorr().put(0, static_cast<int>(n));
  columns.corrType().put(0, types);
  columns.corrProduct().put(0, products);
  columns.flagRow().put(0, false);
}

void FillObservation(casacore::MS& ms, const VisibilityBlock& block, double start_mjd_s, double end_mjd_s) {
  ms.observation().addRow(1);
  casacore::MSObservationColumns columns(ms.observation());
  Vector<double> range(2);
  range[0] = start_mjd_s;
  range[1] = end_mjd_s;
  columns.telescopeName().put(0, block.telescope_name.empty() ? "OVRO_MMA" : block.telescope_name);
  columns.timeRange().put(0, range);
  columns.observer().put(0, block.instrument.empty() ? "DSA-110" : block.instrument);
  columns.log().put(0, Vector<String>(1, ""));
  columns.scheduleType().put(0, "");
  columns.schedule().put(0, Vector<String>(1, ""));
  columns.project().put(0, block.object_name);
  columns.releaseDate().put(0, end_mjd_s);
  columns.flagRow().put(0, false);

  ms.state().addRow(1);
  casacore::MSStateColumns state(ms.state());
  state.sig().put(0, true);
  state.ref().put(0, false);
  state.cal().put(0, 0.0);
  state.load().put(0, 0.0);
  state.subScan().put(0, 0);
  state.obsMode().put(0, "OBSERVE_TARGET.ON_SOURCE");
  state.flagRow().put(0, false);

  ms.processor().addRow(1);
  casacore::MSProcessorColumns processor(ms.processor());
  processor.type().put(0, "CORRELATOR");
  processor.subType().put(0, block.instrument);
  processor.typeId().put(0, -1);
  processor.modeId().put(0, -1);
  processor.flagRow().put(0, false);
}

void FillHistory(casacore::MS& ms, const MeasurementSetHeader& header) {
  const double now_mjd_s = UtcTime::Now().mjd_s();
  casacore::MSHistoryColumns columns(ms.history());
  for (const std::string& message : header.history) {
    const casacore::rownr_t row = ms.history().nrow();
    ms.history().addRow(1);
    columns.time().put(row, now_mjd_s);
    columns.observationId().put(row, 0);
    columns.message().put(row, message);
    columns.priority().put(row, "INFO");
    columns.origin().put(row, "contimg convert");
    columns.objectId().put(row, -1);
    columns.application().put(row, header.program);
    columns.cliCommand().put(row, Vector<String>(1, ""));
    columns.appParams().put(row, Vector<String>(1, ""));
  }
}

}  // namespace

void FillSubtables(casacore::MS& ms, const VisibilityBlock& block, const PhaseCentre& centre,
                   const MeasurementSetHeader& header) {
  const double start = block.time_mjd_s.front() - block.integration_s.front() / 2;
  const double end = block.time_mjd_s.back() + block.integration_s.back() / 2;
  FillAntennas(ms, block.antennas);
  FillFeeds(ms, block, (start + end) / 2);
  FillFieldAndSource(ms, centre, header.field_name, (start + end) / 2, end - start);
  FillSpectralWindows(ms, block);
  FillPolarisation(ms, block);
  FillObservation(ms, block, start, end);
  FillHistory(ms, header);
}

}  // namespace contimg::convert::internal
