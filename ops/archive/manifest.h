// What is in an archived object: the manifest that lies beside it at the remote (OBJECT.json) and in products.sqlite3.
// With it and the object alone every product can be found, fetched by itself, checked, and put on record again.
// docs/formats/archive-manifest.schema.json describes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/product_paths.h"

namespace contimg::ops {

inline constexpr int kManifestFormat = 1;

// Where a product is, whatever disks this or another installation has: a root of the tree and the way below it.
struct TreePath {
  std::string root;  // "input", "output", "images", "scratch"
  std::string path;  // relative, "/" between its parts, without "." and ".."
  friend bool operator==(const TreePath&, const TreePath&) = default;
};
// Nothing for a path below none of the roots.
std::optional<TreePath> InTree(const std::filesystem::path& path, const DirectoryRoots& roots);
// Error{kUsage} when that root is not configured here.
std::filesystem::path OnDisk(const TreePath& path, const DirectoryRoots& roots);

struct ManifestFile {
  std::string path;                     // below the product; empty when the product is a file
  std::uint64_t offset = 0, bytes = 0;  // of its content in the object
  std::string sha256;
  std::int64_t mtime_s = 0;
};

struct ManifestMember {
  std::int64_t product = 0;  // its id where it was archived
  std::string kind;          // a word of config/product_kind.h
  TreePath place;
  // The piece of the object from which the product can be put together: a file's content, or the stretch of the tar
  // that holds a folder's files.
  std::uint64_t offset = 0, bytes = 0;
  std::string sha256;    // of that piece
  std::string checksum;  // on record (products.checksum)
  std::string group;
  double start_mjd = 0, end_mjd = 0;
  std::optional<double> ra_deg, dec_deg;
  std::string grade;
  nlohmann::json quality = nlohmann::json::object();
  std::uint64_t size_bytes = 0;  // of the product
  std::vector<TreePath> parents;
  std::vector<ManifestFile> files;
};

struct Manifest {
  std::string object, product_class, group;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::string created_at;  // "2025-10-14T03:00:00Z"
  std::string program, host;
  std::vector<ManifestMember> members;
};

// Throws Error{kBadInput} for a name that is no UTF-8: no manifest could say it.
std::string ManifestText(const Manifest& manifest);
// Throws Error{kBadInput} about `subject`: no JSON, another format, a field that is absent or of another type, a path
// that leads out of its root, pieces that do not fit into the object.
Manifest ParseManifest(const std::string& text, const std::string& subject);

}  // namespace contimg::ops
