// `contimg scratch`: whose directory trees these are, and taking them deliberately.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/settings_loader.h"
#include "ops/base/instance_lock.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/daemon/tree_guard.h"
#include "ops/job/tree_marker.h"

namespace contimg::ops {
namespace {

void Show(bool as_json) {
  const ProductPaths paths(Roots(CurrentSettings().values));
  const DirectoryRoots& roots = paths.roots();
  const auto own = ReadStateIdentity(roots.state);
  nlohmann::ordered_json trees = nlohmann::ordered_json::array();
  const std::pair<const char*, const std::filesystem::path*> named[] = {{"scratch", &roots.scratch},
                                                                        {"incoming", &roots.input},
                                                                        {"output", &roots.output},
                                                                        {"images", &roots.images},
                                                                        {"tmp", &roots.tmp}};
  for (const auto& [name, path] : named) {
    nlohmann::ordered_json tree{{"name", name}, {"path", path->string()}};
    const auto found = NearestTreeMarker(*path);
    tree["marker"] = found ? nlohmann::ordered_json(TreeMarkerFile(found->first).string()) : nlohmann::ordered_json();
    tree["identity"] = found ? nlohmann::ordered_json(found->second.identity) : nlohmann::ordered_json();
    tree["owner"] = found ? OwnerWords(found->first, found->second) : "nobody";
    tree["ours"] = found && own && found->second.identity == own->identity;
    trees.push_back(tree);
  }
  if (as_json) {
    const nlohmann::ordered_json all{
        {"state", roots.state.string()},
        {"identity", own ? nlohmann::ordered_json(own->identity) : nlohmann::ordered_json()},
        {"trees", trees}};
    fmt::print("{}\n", all.dump(2));
    return;
  }
  fmt::print("state     {}  identity {}\n", roots.state.string(), own ? own->identity : "none yet");
  for (const auto& tree : trees) {
    fmt::print("{:<8}  {}  {}\n", tree["name"].get<std::string>(), tree["path"].get<std::string>(),
               tree["ours"].get<bool>() ? std::string("of this state") : tree["owner"].get<std::string>());
  }
}

void Adopt(bool take_over) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  CheckPaths(settings);
  RealOs().CreateDirectories(paths.roots().state);
  const InstanceLock lock(paths.roots().state);
  MakeDirectories(settings);
  for (const std::filesystem::path& root : AdoptTrees(paths, RealOs(), take_over)) {
    fmt::print("{} is a tree of {} now\n", root.string(), paths.roots().state.string());
  }
}

}  // namespace

void AddScratchCommand(CLI::App& app) {
  CLI::App* scratch = app.add_subcommand("scratch", "whose directory trees these are");
  scratch->require_subcommand(1);
  auto as_json = std::make_shared<bool>(false);
  CLI::App* show = scratch->add_subcommand("show", "the trees and the state directories that they belong to");
  show->add_flag("--json", *as_json, "print JSON");
  show->callback([as_json] { Show(*as_json); });
  auto take_over = std::make_shared<bool>(false);
  CLI::App* adopt = scratch->add_subcommand(
      "adopt", "give the present trees to this state directory, after a disk was replaced or moved");
  adopt->add_flag("--take-over", *take_over,
                  "also trees that belong to another state directory, if no daemon works there");
  adopt->callback([take_over] { Adopt(*take_over); });
}

}  // namespace contimg::ops
