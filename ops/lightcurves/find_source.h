// A source of our own by what people type: its name, that of a catalogue's source that it is, or its place.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "state/own_source_store.h"
#include "state/source_store.h"

namespace contimg::ops {

struct SkyPlace {
  double ra_deg = 0;  // ICRS, [0, 360)
  double dec_deg = 0;
};

// "0.367 16.2", "0.367,16.2", "00:01:28 +16:12:04", "00 01 28 +16 12 04", "00h01m28s+16d12m04s": each part as
// config/sky_text.h reads it. Nothing for anything else, and for what could be split in two ways.
std::optional<SkyPlace> PlaceOf(std::string_view text);

// "DSA J000128.1+161204", however "dsa j" is spelt and without it, too; "" for what no name of ours begins with.
std::string OwnName(std::string_view text);

// By our own name, in any spelling of OwnName; else by a catalogue's, alone or behind that of the catalogue
// ("nvss 133108+303033").
std::optional<state::OwnSourceRow> SourceCalled(state::SourceStore& store, std::string_view text);

}  // namespace contimg::ops
