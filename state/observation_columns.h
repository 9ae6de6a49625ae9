// The columns of an observation with those of its type, and the row they are read to. Internal to state/.
#pragma once

#include "state/light_curve_store.h"
#include "state/query.h"

#define CONTIMG_OBSERVATION_COLUMNS                                                                                   \
  "t.id, t.type, i.name, t.group_id, t.mjd, t.duration_s, t.ra_deg, t.dec_deg, coalesce(d.lst_deg, k.lst_deg, 0), "   \
  "t.frequency_hz, t.beam_major_arcsec, t.beam_minor_arcsec, t.scale, t.scale_error, t.flags, t.recorded_at, "        \
  "t.step_s, t.n_integrations, k.target, k.program, k.band, k.exposure_s FROM observations t JOIN instruments i ON "  \
  "i.id = t.instrument_id LEFT JOIN observations_drift d ON d.observation_id = t.id LEFT JOIN observations_tracking " \
  "k ON k.observation_id = t.id"

namespace contimg::state {

inline ObservationRow ReadObservation(Query& query) {
  ObservationRow row;
  row.id = query.Integer();
  row.type = query.Text();
  row.instrument = query.Text();
  row.group_id = query.Text();
  row.mjd = query.Number();
  row.duration_s = query.Number();
  row.ra_deg = query.OptionalNumber();
  row.dec_deg = query.OptionalNumber();
  row.lst_deg = query.Number();
  row.frequency_hz = query.Number();
  row.beam_major_arcsec = query.OptionalNumber();
  row.beam_minor_arcsec = query.OptionalNumber();
  row.scale = query.OptionalNumber();
  row.scale_error = query.OptionalNumber();
  row.flags = static_cast<QualityFlags>(query.Integer());
  row.recorded_at = query.Number();
  row.step_s = query.OptionalNumber();
  row.n_integrations = query.OptionalInteger();
  if (auto target = query.OptionalText()) {
    row.tracking.emplace();
    row.tracking->target = *std::move(target);
    row.tracking->program = query.Text();
    row.tracking->band = query.Text();
    row.tracking->exposure_s = query.OptionalNumber();
  }
  return row;
}

}  // namespace contimg::state
