// Missions: the telescopes and surveys that catalogues, instruments and data sets are of. Internal to state/.
#pragma once

#include <cstdint>
#include <string_view>

#include "state/database.h"
#include "state/query.h"

namespace contimg::state {

// The id of the mission of that name, made when there is none; in a transaction of the caller. Times in its files are
// MJD days UTC until somebody says otherwise.
inline std::int64_t MissionId(Database& db, std::string_view name) {
  {
    Query query(db,
                "INSERT INTO missions (name, description, time_unit, time_epoch, time_epoch_scale, time_epoch_format) "
                "VALUES (?, '', 'day', 0, 'utc', 'mjd') ON CONFLICT (name) DO NOTHING");
    query.Bind(name).Run();
  }
  Query query(db, "SELECT id FROM missions WHERE name = ?");
  query.Bind(name);
  query.Next();
  return query.Integer();
}

}  // namespace contimg::state
