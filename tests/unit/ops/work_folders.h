// The two roots of an installation below a temporary folder, with all standing directories.
#pragma once

#include <filesystem>

#include "config/product_paths.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {

inline DirectoryRoots RootsBelow(const std::filesystem::path& folder) {
  DirectoryRoots roots;
  roots.scratch = folder / "scratch";
  roots.state = folder / "state";
  roots.input = roots.scratch / "incoming";
  roots.output = roots.scratch / "ms";
  roots.images = roots.scratch / "images";
  roots.tmp = roots.scratch / "tmp";
  roots.staging = folder / "staging";
  return roots;
}

struct WorkFolders {
  WorkFolders() {
    for (const auto& directory : paths.StandingDirectories()) std::filesystem::create_directories(directory);
  }
  TemporaryFolder folder{"ops"};
  const ProductPaths paths{RootsBelow(folder.path())};
};

}  // namespace contimg::ops
