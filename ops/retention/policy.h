// What may leave, as the settings and a command line ask for it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace contimg::ops {

enum class Require { kArchived, kRegenerable, kNone };

struct ClassPolicy {
  double days = 0;  // 0: not by age
  Require require = Require::kArchived;
};

struct RetentionPolicy {
  std::map<std::string, ClassPolicy, std::less<>> classes;  // those of config/product_class.h, "quarantine", "jobs"
  int copies = 1;                                           // verified ones that "archived" asks for
  std::uint64_t min_free_bytes = 0;                         // 0: no pressure
  std::vector<std::string> pressure_order;
  double max_share = 0.25;
  double min_age_s = 3600;

  const ClassPolicy& of(std::string_view product_class) const;
};

// Classes that are folders of the tree and no products.
bool IsFolderClass(std::string_view product_class);

RetentionPolicy PolicyOf(const Settings& settings);

}  // namespace contimg::ops
