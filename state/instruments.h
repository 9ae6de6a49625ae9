// Instruments: what observations are made with and what that is made of. A telescope stands by itself; below it are its
// antennas with their receptors, and its correlator with the subbands.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/database.h"

namespace contimg::state {

struct InstrumentRow {
  std::int64_t id = 0;
  std::string uuid;
  std::string mission;
  std::string name;                       // unique among those of one parent, and among those without
  std::string properties_json = "{}";     // an object
  std::optional<std::int64_t> parent_id;  // what it is a part of
  std::int64_t parts = 0;                 // read, not written
};

// The id of the instrument of that name that stands by itself, made with a mission of its name where there is none; of
// the DSA-110 with all parts that config/telescope.h knows. In a transaction of the caller.
std::int64_t InstrumentId(Database& database, std::string_view name);

class InstrumentStore {
 public:
  explicit InstrumentStore(Database& database) : db_(database) {}

  // New, or (of this parent and name) with these properties and this mission; returns its id. Error{kBadInput} for
  // properties that are no JSON object and a parent that does not exist.
  std::int64_t Save(const InstrumentRow& row);
  std::optional<InstrumentRow> Find(std::int64_t id);
  // By id; those of one parent, or all.
  std::vector<InstrumentRow> List(std::optional<std::int64_t> parent_id = std::nullopt);

 private:
  Database& db_;
};

}  // namespace contimg::state
