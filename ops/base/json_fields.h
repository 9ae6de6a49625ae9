// Records as JSON objects: each field is named once, for both directions.
//
//   constexpr std::tuple kFields{JsonField{"kind", &Table::kind}, JsonField{"path", &Table::path}};
//   json = FieldsToJson(table, kFields);  table = FieldsFromJson<Table>(json, kFields);
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

namespace contimg::ops {

template <typename Record, typename Value>
struct JsonField {
  const char* name;
  Value Record::*member;
};
template <typename Record, typename Value>
JsonField(const char*, Value Record::*) -> JsonField<Record, Value>;

template <typename Value>
nlohmann::json FieldToJson(const Value& value) {
  return value;
}
inline nlohmann::json FieldToJson(const std::filesystem::path& value) { return value.string(); }

template <typename Value>
void FieldFromJson(const nlohmann::json& json, Value& value) {
  json.get_to(value);
}
inline void FieldFromJson(const nlohmann::json& json, std::filesystem::path& value) { value = json.get<std::string>(); }

template <typename Record, typename... Values>
nlohmann::json FieldsToJson(const Record& record, const std::tuple<JsonField<Record, Values>...>& fields) {
  nlohmann::json json = nlohmann::json::object();
  std::apply([&](const auto&... field) { ((json[field.name] = FieldToJson(record.*field.member)), ...); }, fields);
  return json;
}

// Throws nlohmann::json::exception for a field that is absent or of another type.
template <typename Record, typename... Values>
Record FieldsFromJson(const nlohmann::json& json, const std::tuple<JsonField<Record, Values>...>& fields) {
  Record record;
  std::apply([&](const auto&... field) { (FieldFromJson(json.at(field.name), record.*field.member), ...); }, fields);
  return record;
}

}  // namespace contimg::ops
