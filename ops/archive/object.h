// Archived objects: their names, and how one is made of products.
//
//   images/2025-10-13/2025-10-13T132803.images.tar      all products of one class and group that have no copy yet
//   images/2025-10-13/2025-10-13T132803.images.2.tar    those that were made anew since
//
// Names have no colons (S3, SMB, NTFS). An object is a plain tar: images, visibilities and gains are noise, which no
// lossless compression makes smaller (1.08 times), and each product stays a stretch that can be fetched by itself.
// Members are <root>/<path> (<root>/<path>.fz of a lossy copy), sorted, of mode 0644 and nobody's, with the times of
// the files and without casacore's table.lock: the same products give the same bytes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ops/archive/manifest.h"
#include "state/product_store.h"

namespace contimg::ops {

// `number` 1 is not written. A group's name without colons; a product without a group goes by its own name and id.
std::string ObjectName(const std::string& product_class, const state::ProductRow& product, int number);
// The same name with another number.
std::string WithNumber(const std::string& object, int number);
// Whether a file of the outbox has such a name (or that of its manifest).
bool IsObjectName(const std::filesystem::path& relative);

struct MadeObject {
  std::uint64_t bytes = 0;
  std::string sha256;
  std::vector<ManifestMember> members;  // without parents
};

// As they are; or FITS images that can be (WriteRiceCopy) compressed with loss, all else as it is. By way of a file
// beside the object.
enum class ImagesAs { kLossless, kRice };

// Writes the tar of `products` to `file` (which must not exist) and syncs it. Every file is read once, and what was
// read is compared with the record. Error{kBusy}: a product changed while it was read, or is not there (made anew,
// removed): another time. Error{kBadInput}: it is not what was recorded, though nobody touches it; the subject is its
// path. Error{kUsage}: something in it is neither file nor folder (a link), which the subject names. Error{kResource}:
// no room. Nothing is left at `file` then.
MadeObject MakeObject(const std::vector<state::ProductRow>& products, const DirectoryRoots& roots,
                      const std::filesystem::path& file, const RunContext& context,
                      ImagesAs images = ImagesAs::kLossless);

}  // namespace contimg::ops
