// The same search by AOFlagger's library, for comparison and for strategies written for it.
//
// AOFlagger (Offringa et al. 2010, 2012) is loaded at run time from libcontimg_aoflagger.so, which lies beside the
// program or in ../lib/contimg; it needs the Debian package libaoflagger0. One strategy object per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// Lua text of the strategy that FlagRfi follows, with the values of `settings`. `contimg flag --print-strategy` writes
// it, for rfigui or the aoflagger program.
std::string AoflaggerStrategy(const FlagSettings& settings);

// As FlagRfi (calibrate/flag_rfi.h), by AOFlagger with `settings.strategy_file` or, when that is empty, with
// AoflaggerStrategy(settings). Samples flagged on entry are replaced by mirror images of good ones, so that they
// neither raise nor hide anything. Throws Error{kResource} when the library is not installed, Error{kBadInput} when the
// strategy fails and Error{kBug} for three polarisations.
void FlagWithAoflagger(ArrayView<const Visibility, 4> vis, ArrayView<std::uint8_t, 4> flag,
                       const std::vector<std::size_t>& baselines, const FlagSettings& settings, int threads);

// Whether that would work: the library is there and takes the strategy. Throws as FlagWithAoflagger.
void CheckAoflagger(const FlagSettings& settings);

// Version of the installed library ("3.1.0"), or "" when it cannot be loaded.
std::string AoflaggerVersion();

}  // namespace contimg::calibrate
