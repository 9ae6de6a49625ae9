// Records as JSON objects: each field is named once, for both directions.
//
//   template <>
//   inline constexpr auto kJsonFields<Table> = std::tuple{JsonField{"kind", &Table::kind}, JsonField{"path",
//   &Table::path}}; json = RecordToJson(table);  table = RecordFromJson<Table>(json);
//
// Values are what nlohmann::json takes, paths, other such records, and vectors and optionals (nothing: null) of these.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace contimg::ops {

enum class JsonPresence { kRequired, kMayLack };  // kMayLack: of a later version than some that are read

template <typename Record, typename Value>
struct JsonField {
  const char* name;  // null: the value's own fields stand among the record's
  Value Record::*member;
  JsonPresence presence = JsonPresence::kRequired;
};
template <typename Record, typename Value>
JsonField(const char*, Value Record::*) -> JsonField<Record, Value>;
template <typename Record, typename Value>
JsonField(const char*, Value Record::*, JsonPresence) -> JsonField<Record, Value>;

template <typename Record>
inline constexpr auto kJsonFields = nullptr;
template <typename Value>
inline constexpr bool kIsJsonRecord = !std::is_same_v<std::remove_cv_t<decltype(kJsonFields<Value>)>, std::nullptr_t>;

template <typename Value>
inline constexpr bool kIsVector = false;
template <typename Value>
inline constexpr bool kIsVector<std::vector<Value>> = true;
template <typename Value>
inline constexpr bool kIsOptional = false;
template <typename Value>
inline constexpr bool kIsOptional<std::optional<Value>> = true;

template <typename Json, typename Record>
void AddFields(Json& json, const Record& record);
template <typename Record, typename Json>
Record RecordFromJson(const Json& json);

template <typename Json, typename Value>
Json ValueToJson(const Value& value) {
  if constexpr (std::is_same_v<Value, std::filesystem::path>) {
    return value.string();
  } else if constexpr (kIsJsonRecord<Value>) {
    Json json = Json::object();
    AddFields(json, value);
    return json;
  } else if constexpr (kIsOptional<Value>) {
    return value ? ValueToJson<Json>(*value) : Json();
  } else if constexpr (kIsVector<Value>) {
    Json json = Json::array();
    for (const auto& each : value) json.push_back(ValueToJson<Json>(each));
    return json;
  } else {
    return Json(value);
  }
}

template <typename Value, typename Json>
void ValueFromJson(const Json& json, Value& value) {
  if constexpr (std::is_same_v<Value, std::filesystem::path>) {
    value = json.template get<std::string>();
  } else if constexpr (kIsJsonRecord<Value>) {
    value = RecordFromJson<Value>(json);
  } else if constexpr (kIsOptional<Value>) {
    if (json.is_null()) return value.reset();
    ValueFromJson(json, value.emplace());
  } else if constexpr (kIsVector<Value>) {
    value.clear();
    for (const Json& each : json.template get_ref<const typename Json::array_t&>())
      ValueFromJson(each, value.emplace_back());
  } else if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool>) {
    const bool fits = json.is_number_unsigned()  ? std::in_range<Value>(json.template get<std::uint64_t>())
                      : json.is_number_integer() ? std::in_range<Value>(json.template get<std::int64_t>())
                                                 : false;
    if (!fits) throw Json::type_error::create(302, "expected a whole number", &json);
    json.get_to(value);
  } else {
    json.get_to(value);
  }
}

template <typename Json, typename Record>
void AddFields(Json& json, const Record& record) {
  const auto add = [&](const auto& field) {
    const auto& value = record.*field.member;
    if constexpr (kIsJsonRecord<std::decay_t<decltype(value)>>) {
      if (field.name == nullptr) return AddFields(json, value);
    }
    json[field.name] = ValueToJson<Json>(value);
  };
  std::apply([&](const auto&... field) { (add(field), ...); }, kJsonFields<Record>);
}

// Json may be nlohmann::ordered_json, where people read it.
template <typename Json = nlohmann::json, typename Record>
Json RecordToJson(const Record& record) {
  return ValueToJson<Json>(record);
}

// Throws nlohmann::json::exception for a field that is absent or of another type; a number that is not whole, or too
// large, is no integer.
template <typename Record, typename Json>
Record RecordFromJson(const Json& json) {
  Record record;
  const auto read = [&](const auto& field) {
    if (field.name == nullptr) return ValueFromJson(json, record.*field.member);
    if (field.presence == JsonPresence::kMayLack && !json.contains(field.name)) return;
    ValueFromJson(json.at(field.name), record.*field.member);
  };
  std::apply([&](const auto&... field) { (read(field), ...); }, kJsonFields<Record>);
  return record;
}

}  // namespace contimg::ops
