// What a thing of a foreign tree is. Its content decides; a name is believed where content cannot tell (which image of
// a group it is) and must not contradict it.
//
//   found                       told by                                              the name must agree in
//   Measurement Set             casacore's table.info; its times and centre          its time
//   calibration table K, B, G   table.info; the table itself, the set it is of       kind, its time
//   FITS image                  its header and pixels                                its time; it tells the kind
//   picture, figures            PNG's magic number; JSON                             it tells the group
//   subband file                the UVH5 header: time, channels                      time, subband
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "config/os.h"
#include "config/product_paths.h"

namespace contimg::ops {

struct Thing {
  enum class Kind { kMeasurementSet, kCalTable, kFile };
  Kind kind = Kind::kFile;
  std::string timestamp;  // of its group
  std::string reason;     // how it is known, one clause
  // Of a Measurement Set.
  std::optional<CalInterval> named_interval;  // its name says that it is a calibrator's; also of a table
  std::string alias;                          // its name, when that is no time: a calibrator's
  double ra_deg = 0, dec_deg = 0;             // its centre, ICRS
  // Of a table.
  CalKind cal_kind = CalKind::kDelay;
  // Of a file: its class ("incoming", "image", "mosaic", "qa") and its place.
  std::string file_class;
  std::filesystem::path place;
};

// "Measurement Set", "Calibration/K Jones", "Image"; empty: no table of casacore's.
std::string CasacoreTableType(const std::filesystem::path& directory, Os& os = RealOs());

// Nothing when it is no product at all and does not claim to be one. Throws Error (its message is one clause about
// `path`) when it is damaged, or its name says what its content is not. `path` is a file or a directory that is a table
// or is called one.
std::optional<Thing> LookAtThing(const std::filesystem::path& path, const ProductPaths& paths, Os& os = RealOs());

// A thing as JSON, and back: between processes.
nlohmann::json ToJson(const Thing& thing);
Thing ThingOf(const nlohmann::json& object);

}  // namespace contimg::ops
