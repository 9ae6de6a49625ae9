// Which group of the assembler is which row of the queue: one id for each key, and the other way round.
//
// An id is the second of the group's stamp, in ISO 8601. A stamp that another group has already (a writer's clock was
// set back) gives the next second that is free.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "config/time.h"
#include "ingest/group_assembler.h"

namespace contimg::ops {

class GroupIds {
 public:
  // The id that the group may have: its own counts as free.
  std::string FreeFor(UtcTime stamp, ingest::GroupKey key) const;
  // From now on the group has this id and no other.
  void Set(ingest::GroupKey key, const std::string& id);
  void Forget(ingest::GroupKey key);
  // Forgets the groups that the assembler does not know any more.
  void ForgetAllBut(const ingest::GroupAssembler& known);

  // The group must have an id.
  const std::string& Of(ingest::GroupKey key) const { return ids_.at(key); }
  std::optional<ingest::GroupKey> Find(const std::string& id) const;

 private:
  std::map<ingest::GroupKey, std::string> ids_;
  std::map<std::string, ingest::GroupKey> keys_;
};

}  // namespace contimg::ops
