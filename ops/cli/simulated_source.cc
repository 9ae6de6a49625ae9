#include "ops/cli/simulated_source.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <sstream>
#include <vector>

#include "config/error.h"
#include "config/quantity.h"
#include "config/sky_text.h"
#include "config/time.h"

namespace contimg::ops {

namespace {

namespace sim = contimg::simulator;

Error SourceError(std::string message) { return Error(ErrorKind::kUsage, "simulate", "--source", std::move(message)); }

// The KEY=VALUE fields; each is asked for at most once, and none may be left in the end.
class SourceKeys {
 public:
  void Add(const std::string& field) {
    const std::size_t equals = field.find('=');
    const std::string key = field.substr(0, equals);
    if (!values_.emplace(key, field.substr(equals + 1)).second) throw SourceError(key + " stands there twice");
  }

  std::optional<std::string> Take(const std::string& key) {
    const auto at = values_.find(key);
    if (at == values_.end()) return std::nullopt;
    std::string value = at->second;
    values_.erase(at);
    return value;
  }

  // A number of `unit` between the limits; without `otherwise` the key must be there.
  double Number(const std::string& key, const char* unit, double low, double high,
                std::optional<double> otherwise = std::nullopt) {
    const auto text = Take(key);
    if (!text) {
      if (otherwise) return *otherwise;
      throw SourceError(fmt::format("expected {}=… for what was asked for", key));
    }
    const auto value = ParseQuantity(*text, unit);
    if (!value || *value < low || *value > high) {
      const std::string range =
          std::isinf(high) ? fmt::format("from {:g} on", low) : fmt::format("{:g} to {:g}", low, high);
      throw SourceError(
          fmt::format("expected {} {}{}{}, found '{}'", key, range, *unit != '\0' ? " " : "", unit, *text));
    }
    return *value;
  }

  double Mjd(const std::string& key, std::optional<double> otherwise = std::nullopt) {
    const auto text = Take(key);
    if (!text) {
      if (otherwise) return *otherwise;
      throw SourceError(fmt::format("expected {}=… (MJD or UTC) for what was asked for", key));
    }
    if (const auto value = ParseQuantity(*text, "")) return *value;
    return UtcTime::FromPerson("--source " + key, *text).mjd();
  }

  void CheckNoneLeft() const {
    if (values_.empty()) return;
    throw SourceError(fmt::format(
        "{} says nothing here; there are major, minor, angle; vary=sinusoid with amplitude, period, at; vary=flare "
        "with factor, at, decay, rise; vary=step with factor, at; from, to",
        values_.begin()->first));
  }

 private:
  std::map<std::string, std::string> values_;
};

constexpr double kInfinite = std::numeric_limits<double>::infinity(), kShortestDays = 1e-9;

sim::Variation TakeVariation(SourceKeys& keys) {
  sim::Variation v;
  const auto kind = keys.Take("vary");
  if (kind && *kind == "sinusoid") {
    v.kind = sim::VariationKind::kSinusoid;
    v.amplitude = keys.Number("amplitude", "", 0, 1);
    v.period_d = keys.Number("period", "d", kShortestDays, kInfinite);
    v.at_mjd = keys.Mjd("at", 0.0);
  } else if (kind && *kind == "flare") {
    v.kind = sim::VariationKind::kFlare;
    v.factor = keys.Number("factor", "", 0, kInfinite);
    v.at_mjd = keys.Mjd("at");
    v.decay_d = keys.Number("decay", "d", kShortestDays, kInfinite);
    v.rise_d = keys.Number("rise", "d", 0, kInfinite, 0.0);
  } else if (kind && *kind == "step") {
    v.kind = sim::VariationKind::kStep;
    v.factor = keys.Number("factor", "", 0, kInfinite);
    v.at_mjd = keys.Mjd("at");
  } else if (kind) {
    throw SourceError(fmt::format("expected vary=sinusoid, flare or step, found '{}'", *kind));
  }
  v.from_mjd = keys.Mjd("from", v.from_mjd);
  v.to_mjd = keys.Mjd("to", v.to_mjd);
  if (!(v.from_mjd < v.to_mjd)) throw SourceError("expected from before to");
  return v;
}

sim::Shape TakeShape(SourceKeys& keys) {
  const double major = keys.Number("major", "arcsec", 0, kInfinite, 0.0);
  if (major == 0) return {};
  const double minor = keys.Number("minor", "arcsec", 0, major, major);
  const double angle = keys.Number("angle", "deg", -360, 360, 0.0);
  return {Angle::Arcsec(major), Angle::Arcsec(minor), Angle::Degrees(angle)};
}

}  // namespace

SkyDirection ParseSimulatedPlace(const std::string& option, std::string_view ra, std::string_view dec) {
  const auto ra_deg = ParseRightAscension(ra), dec_deg = ParseDeclination(dec);
  const auto fail = [&](std::string message) {
    return Error(ErrorKind::kUsage, "simulate", option, std::move(message));
  };
  if (!ra_deg) throw fail(fmt::format("expected a right ascension, 0 to 360 degrees or hh:mm:ss, found '{}'", ra));
  if (!dec_deg) throw fail(fmt::format("expected a declination, -90 to 90 degrees or dd:mm:ss, found '{}'", dec));
  return {Angle::Degrees(*ra_deg), Angle::Degrees(*dec_deg)};
}

sim::Source ParseSimulatedSource(const std::string& text, double alpha) {
  std::vector<std::string> fields;
  SourceKeys keys;
  std::istringstream in(text);
  for (std::string field; std::getline(in, field, ',');) {
    if (field.find('=') != std::string::npos) {
      keys.Add(field);
    } else {
      fields.push_back(field);
    }
  }
  if (fields.size() != 3 && fields.size() != 4) {
    throw SourceError(fmt::format("expected RA,DEC,JY or RA,DEC,JY,ALPHA, then KEY=VALUE, found '{}'", text));
  }
  const auto flux_jy = ParseQuantity(fields[2], "Jy");
  const auto index = fields.size() == 4 ? ParseQuantity(fields[3], "") : std::optional(alpha);
  if (!flux_jy) throw SourceError(fmt::format("expected a flux density in Jy, found '{}'", fields[2]));
  if (!index) throw SourceError(fmt::format("expected a spectral index, found '{}'", fields[3]));
  sim::Source source;
  source.position = ParseSimulatedPlace("--source", fields[0], fields[1]);
  source.flux_jy = *flux_jy;
  source.spectral_index = *index;
  source.shape = TakeShape(keys);
  source.variation = TakeVariation(keys);
  keys.CheckNoneLeft();
  return source;
}

}  // namespace contimg::ops
