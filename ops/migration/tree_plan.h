// Where the things of a flat tree of another installation belong in this one.
//
//   Measurement Set           ms/science, or ms/calibrators with _24h or _1h when it is a calibrator's
//   calibration table         ms/calibrators
//   image, mosaic             images/single, images/mosaics
//   picture, figures          images/qa
//   subband file              incoming
//
// A Measurement Set is a calibrator's when its name says so (_24h, _1h, or no time: "0834_555_transit"), when a table
// beside it or in the registry was solved from it and no other set of that time is called a calibrator's, or when a
// calibrator of the catalogue stands within half a beam of its centre.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"

namespace contimg::ops {

enum class Classify { kAuto, kCalibrator, kScience };  // of Measurement Sets
enum class TreeMode { kMove, kLink, kCopy };
std::string_view ToString(TreeMode mode);  // "move", "link", "copy"

struct TreePlanRequest {
  std::filesystem::path from;
  Classify classify = Classify::kAuto;
  TreeMode mode = TreeMode::kMove;
  double dish_m = 0;      // half a beam follows from it; 0: 4.65 m
  double min_age_s = 60;  // what changed later than that before `now` may still be written
  double now_unix_s = 0;
};

struct PlannedItem {
  std::filesystem::path from, to;
  std::string item_class;       // "calibrator", "science", "caltable", "image", "mosaic", "qa", "incoming"
  std::string reason;           // why this class
  std::filesystem::path alias;  // a link that leads to it (below calibrators/by-name); empty: none
  std::uint64_t bytes = 0;
  std::uint64_t inode = 0;
  std::string fingerprint;  // ops/migration/tree_stamp.h
};

struct LeftItem {
  std::filesystem::path from;
  std::string reason;    // one clause
  bool trouble = false;  // somebody has to look at it; false: it is no product, or there already
};

struct TreePlan {
  std::vector<PlannedItem> items;  // by source
  std::vector<LeftItem> left;      // by source
};

// Changes nothing. Reports progress as "migrate". Standing directories of this installation below `from` are passed
// over. Error{kUsage} when `from` is no directory or lies in one of them.
TreePlan PlanTree(const TreePlanRequest& request, const ProductPaths& paths, const RunContext& context);

}  // namespace contimg::ops
