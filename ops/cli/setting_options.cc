#include "ops/cli/setting_options.h"

#include <fmt/format.h>

#include "config/error.h"
#include "config/quantity.h"

namespace contimg::ops {

CLI::Option* SettingOptions::Add(CLI::App* command, const std::string& option, const std::string& key,
                                 const std::string& help) {
  const SettingInfo* setting = FindSetting(key);
  if (setting == nullptr) throw Error(ErrorKind::kBug, "options", key, "is no setting");
  Entry& entry = entries_[option];
  entry.setting = setting;
  entry.option = command->add_option(option, entry.text, help);
  if (setting->type == SettingType::kChoice) entry.option->type_name(std::string(setting->words));
  return entry.option;
}

bool SettingOptions::Given(const std::string& option) const {
  const auto at = entries_.find(option);
  return at != entries_.end() && at->second.option->count() > 0;
}

void SettingOptions::Apply(Settings& settings) const {
  for (const auto& [option, entry] : entries_) {
    if (entry.option->count() > 0) SetFromText(settings, *entry.setting, entry.text, option);
  }
}

CLI::Validator Between(double low, double high) {
  return CLI::Validator(
      [low, high](const std::string& text) {
        const auto value = ParseQuantity(text, "");
        if (value && *value >= low && *value <= high) return std::string();
        return fmt::format("expected a number from {} to {}, found '{}'", low, high, text);
      },
      fmt::format("{} to {}", low, high));
}

}  // namespace contimg::ops
