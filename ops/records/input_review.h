// The input files of a group as they are on the disk now, against what its record says of them.
//
// Files come, go and are replaced by hands that do not ask the queue: an operator who removes one of two conflicting
// files, a transfer that sends one again. Whoever is about to take a group on looks again.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/os.h"
#include "state/group_store.h"

namespace contimg::ops {

struct InputReview {
  std::vector<state::SubbandFileRow> changed;  // rows whose status is no longer what the record says, with the new one
  std::vector<std::string> notes;              // one sentence for each change
  int n_present = 0;                           // subbands with a file, after the changes
  // Subbands of which several files with different content are there: a person must choose.
  std::vector<std::string> unresolved;  // "sb02: /in/a_sb02.hdf5 or /in/b_sb02.hdf5"
};

// A present file that is gone gives its place to the one file of its subband that is there (one in conflict with it, or
// one that came late); files that are gone are removed from the group's record. `exists` as FileIsThere.
InputReview ReviewInputs(const std::vector<state::SubbandFileRow>& files,
                         const std::function<bool(const std::filesystem::path&)>& exists);

// Writes down what the look has shown: rows with their new status and an event "replaced" for each note, after which
// what was made of the group before no longer counts. In the caller's transaction.
void RecordReview(state::GroupStore& store, const state::GroupRow& row, const InputReview& review,
                  const std::string& actor, double now);

// False when the directory is there and the file is not. Error{kIo} when the directory cannot be looked into: then
// nothing is known of the file.
bool FileIsThere(const std::filesystem::path& path, Os& os = RealOs());

}  // namespace contimg::ops
