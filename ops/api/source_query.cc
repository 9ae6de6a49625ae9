#include "ops/api/source_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/trimmed.h"
#include "ops/api/answer.h"
#include "ops/api/group_query.h"
#include "ops/base/words.h"
#include "ops/lightcurves/find_source.h"

namespace contimg::ops {
namespace {

constexpr double kAnyNumber = std::numeric_limits<double>::infinity();
constexpr std::array<std::string_view, 4> kOrigins{"catalogue", "detection", "transient", "manual"};

Error WrongWord(const char* name, const std::string& words) { return Error(ErrorKind::kUsage, "http", name, words); }

// Where q is a place, a cone about it; else how a name begins, the source's own where it is one of a catalogue.
void Search(const std::string& words, double radius_deg, state::SourceStore& store, state::SourceListQuery& query) {
  if (const auto place = PlaceOf(words)) {
    query.cone = {place->ra_deg, place->dec_deg, radius_deg};
    return;
  }
  if (const auto called = SourceCalled(store, words)) {
    query.name_begins = called->name;
    return;
  }
  query.name_begins = OwnName(words);
  if (query.name_begins.empty()) query.name_begins = words;
}

std::string LevelParameter(const HttpRequest& request) {
  const std::string level = request.Parameter("level");
  if (level.empty()) return "transit";
  if (level == "tile" || level == "transit") return level;
  throw WrongWord("level", fmt::format("expected tile or transit and found '{}'", level));
}

}  // namespace

state::SourceListQuery SourceQueryOf(const HttpRequest& request, state::SourceStore& store, int otherwise, int most) {
  state::SourceListQuery query;
  query.level = LevelParameter(request);
  if (const std::string kind = request.Parameter("kind"); !kind.empty()) query.kind = kind;
  const std::string words(Trimmed(request.Parameter("q"))), at = request.Parameter("at");
  const auto radius_deg = NumberParameter(request, "radius_deg", 0, state::kLargestListedConeDeg);
  if (!words.empty()) Search(words, radius_deg.value_or(kSearchDeg), store, query);
  if (!at.empty()) {
    const auto place = PlaceOf(at);
    if (!place) {
      throw WrongWord("at", fmt::format("expected RA,DEC as 0.367,16.2 or 00:01:28,+16:12:04 and found '{}'", at));
    }
    if (query.cone) throw WrongWord("at", "goes not with a place as q");
    query.cone = {place->ra_deg, place->dec_deg, radius_deg.value_or(kSearchDeg)};
  }
  query.group_id = request.Parameter("group");
  if (const std::string flags = request.Parameter("flags"); !flags.empty()) query.flags = ParseQualityMask(flags);
  query.origin = request.Parameter("origin");
  if (!query.origin.empty() && std::find(kOrigins.begin(), kOrigins.end(), query.origin) == kOrigins.end()) {
    throw WrongWord("origin", fmt::format("expected {} and found '{}'", fmt::join(kOrigins, ", "), query.origin));
  }
  query.min_flux_jy = NumberParameter(request, "min_flux_jy", -kAnyNumber, kAnyNumber).value_or(query.min_flux_jy);
  query.max_flux_jy = NumberParameter(request, "max_flux_jy", -kAnyNumber, kAnyNumber).value_or(query.max_flux_jy);
  query.min_n = WholeParameter(request, "min_n", 0).value_or(query.min_n);
  query.min_eta = NumberParameter(request, "eta", 0, kAnyNumber).value_or(query.min_eta);
  query.min_v = NumberParameter(request, "v", -kAnyNumber, kAnyNumber).value_or(query.min_v);
  query.max_p = NumberParameter(request, "p", 0, 1).value_or(query.max_p);
  query.since_mjd = MjdParameter(request, "since").value_or(query.since_mjd);
  query.order = query.cone ? state::SourceOrder::kDistance : state::SourceOrder::kName;
  if (const std::string sort = request.Parameter("sort"); !sort.empty()) query.order = state::ParseSourceOrder(sort);
  query.after = WholeParameter(request, "after", 1).value_or(0);
  query.limit = LimitOf(request, otherwise, most);
  return query;
}

std::optional<state::OwnSourceRow> SourceOfWord(state::SourceStore& store, const std::string& word) {
  if (const auto number = RecordNumber(word)) return state::OwnSourceStore(store.database()).Find(*number);
  return SourceCalled(store, word);
}

CurveQuery CurveQueryOf(const HttpRequest& request, state::SourceStore& store) {
  CurveQuery query;
  query.dataset = request.Parameter("dataset");
  if (!query.dataset.empty()) {
    for (const char* name : {"level", "kind", "normalised", "quality", "from", "to"}) {
      if (!request.Parameter(name).empty())
        throw WrongWord(name, "is of our own measurements: it goes not with dataset");
    }
    return query;
  }
  if (const std::string level = request.Parameter("level"); !level.empty()) {
    query.request.level = ParseLightCurveLevel(level);
  }
  if (const std::string kind = request.Parameter("kind"); !kind.empty()) {
    const std::vector<std::string> kinds = state::LightCurveStore(store.database()).Kinds();
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
      throw WrongWord("kind", fmt::format("expected {} and found '{}'", fmt::join(kinds, ", "), kind));
    }
    query.request.kind = kind;
  }
  query.request.normalised = FlagParameter(request, "normalised");
  if (const std::string quality = request.Parameter("quality"); !quality.empty()) {
    query.request.mask = ParseQualityMask(quality);
  }
  query.request.from_mjd = MjdParameter(request, "from").value_or(query.request.from_mjd);
  query.request.to_mjd = MjdParameter(request, "to").value_or(query.request.to_mjd);
  return query;
}

state::DatasetRow DatasetCalled(state::SourceStore& store, const state::OwnSourceRow& source, const std::string& name) {
  auto dataset = state::DatasetStore(store.database()).FindByName(source.id, name);
  if (!dataset) throw WrongWord("dataset", fmt::format("{} has none that is called '{}'", source.name, name));
  if (dataset->times.empty()) {
    throw WrongWord("dataset", fmt::format("'{}' is a view of our measurements: level and normalised show it", name));
  }
  return *std::move(dataset);
}

}  // namespace contimg::ops
