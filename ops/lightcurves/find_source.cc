#include "ops/lightcurves/find_source.h"

#include <algorithm>
#include <cctype>

#include "config/sky_text.h"
#include "config/trimmed.h"
#include "config/units.h"

namespace contimg::ops {
namespace {

std::optional<SkyPlace> PlaceOfParts(std::string_view ra, std::string_view dec) {
  const auto ra_deg = ParseRightAscension(ra), dec_deg = ParseDeclination(dec);
  if (!ra_deg || !dec_deg) return std::nullopt;
  return SkyPlace{*ra_deg == 360 ? 0 : *ra_deg, *dec_deg};
}

// Takes `word` off the front of the text, in whatever case.
bool TakeWord(std::string_view& text, std::string_view word) {
  if (text.size() < word.size() || !std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) {
        return a == std::toupper(static_cast<unsigned char>(b));
      })) {
    return false;
  }
  text.remove_prefix(word.size());
  return true;
}

}  // namespace

std::optional<SkyPlace> PlaceOf(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  text = Trimmed(text);
  if (text.size() > kLongest) return std::nullopt;
  if (const std::size_t comma = text.find(','); comma != std::string_view::npos) {
    return PlaceOfParts(text.substr(0, comma), text.substr(comma + 1));
  }
  std::optional<SkyPlace> found;
  for (std::size_t at = 1; at < text.size(); ++at) {
    const char c = text[at];
    if (c != ' ' && c != '\t' && c != '+' && c != '-') continue;
    const auto place = PlaceOfParts(text.substr(0, at), text.substr(at));
    if (!place) continue;
    if (found && (found->ra_deg != place->ra_deg || found->dec_deg != place->dec_deg)) return std::nullopt;
    found = place;
  }
  return found;
}

std::string OwnName(std::string_view text) {
  text = Trimmed(text);
  if (TakeWord(text, "DSA")) text = Trimmed(text);
  if (!TakeWord(text, "J")) return "";
  std::string name(text);
  // A plus sign that was typed into an address arrives as a blank.
  std::replace(name.begin(), name.end(), ' ', '+');
  return "DSA J" + name;
}

std::optional<state::OwnSourceRow> SourceCalled(state::SourceStore& store, std::string_view text) {
  text = Trimmed(text);
  state::OwnSourceStore sources(store.database());
  if (const std::string name = OwnName(text); !name.empty()) {
    if (auto own = sources.FindByName(name)) return own;
  }
  if (auto called = sources.Called(text)) return called;
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const auto listed = store.FindByName(text.substr(0, blank), Trimmed(text.substr(blank + 1)));
  if (!listed) return std::nullopt;
  if (listed->source_id) return sources.Find(*listed->source_id);
  auto near = sources.Near(listed->ra_deg, listed->dec_deg, Angle::Arcsec(state::kSamePlaceArcsec).deg());
  return near.empty() ? std::nullopt : std::optional(std::move(near.front()));
}

}  // namespace contimg::ops
