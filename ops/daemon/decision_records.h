// What a decision of the group assembler becomes outside of it: rows, events and states in the queue's database,
// figures for Prometheus, lines of the log.
#pragma once

#include "config/settings.h"
#include "ingest/group_assembler.h"
#include "ops/daemon/group_ids.h"
#include "ops/daemon/ingest_service.h"

namespace contimg::ops {

// `group`: the one that was decided about, as the assembler has it now. A founded group gets its id here; one that an
// earlier file has joined gets the id of that file's stamp, unless it is held. What `context` refers to must outlive
// the writes that this adds.
void RecordDecision(const IngestContext& context, const IngestSettings& settings, GroupIds& ids,
                    const ingest::AssembledGroup& group, const ingest::Decision& decision);

}  // namespace contimg::ops
