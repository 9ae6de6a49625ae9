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

inline constexpr int kManifestFormat = 1, kLossyManifestFormat = 2;  // which older programs refuse

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

// A FITS image that lies in the object Rice-compressed (image/products/fits_image.h), as <path>.fz.
struct LossyCopy {
  std::string codec = "rice";
  int quantum = 0;          // steps in the noise of a row or piece
  double largest_step = 0;  // no value is off by more than half of it
  int dither_seed = 0;
  std::uint64_t original_bytes = 0;
  std::string original_sha256;
};

struct ManifestMember {
  std::int64_t product = 0;  // its id where it was archived
  std::string kind;          // a word of config/product_kind.h
  TreePath place;
  // The piece of the object from which the product can be put together: a file's content, or the stretch of the tar
  // that holds a folder's files.
  std::uint64_t offset = 0, bytes = 0;
  std::string sha256;    // of that piece
  std::string checksum;  // on record (products.checksum), of the original
  std::string group;
  double start_mjd = 0, end_mjd = 0;
  std::optional<double> ra_deg, dec_deg;
  std::string grade;
  nlohmann::json quality = nlohmann::json::object();
  std::uint64_t size_bytes = 0;  // of the product
  std::vector<TreePath> parents;
  std::vector<ManifestFile> files;
  std::optional<LossyCopy> lossy;  // nothing: it is what was made, bit for bit
};

struct Manifest {
  std::string object, product_class, group;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::string created_at;  // "2025-10-14T03:00:00Z"
  std::string program, host;
  std::vector<ManifestMember> members;
  bool lossy() const;  // any of them
};

// "(lossy: Rice, steps of 1/16 of the noise, at most 3.1e-05)"
std::string LossyWords(const LossyCopy& copy);
// What a file's lossy copy is called: <path>.fz.
std::filesystem::path LossyName(const std::filesystem::path& path);

// Throws Error{kBadInput} for a name that is no UTF-8: no manifest could say it.
std::string ManifestText(const Manifest& manifest);
// Throws Error{kBadInput} about `subject`: no JSON, another format, a field that is absent or of another type, a path
// that leads out of its root, pieces that do not fit into the object.
Manifest ParseManifest(const std::string& text, const std::string& subject);

}  // namespace contimg::ops
