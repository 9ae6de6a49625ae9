// Turns what a worker reported into rows of products.sqlite3: the job, its products, and what each was made from.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "ops/job/job.h"
#include "state/product_store.h"

namespace contimg::ops {

struct JobRecord {
  std::string command;  // repeats the job
  std::uint64_t peak_memory_bytes = 0;
  std::map<std::string, std::string> checksums;  // of input files by path, as the intake took them
  std::string sky_model;                         // content of the job's sky model: its folder does not stay
};

// One transaction; recording the same attempt again changes nothing, so that it may be repeated after a crash. Products
// that the job only names (tables of other groups) get a row when they have none. Returns the job's id.
std::int64_t RecordProducts(state::ProductStore& store, const Job& job, const JobReport& report,
                            const JobRecord& record);

}  // namespace contimg::ops
