// What is said of mosaics alike by commands, pages and API.
#pragma once

#include <string>
#include <vector>

#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// "23:30", sidereal time to a minute.
std::string LstWords(double hours);
// The gates that its grade comes from, as the figures on record with its products say; empty where they say none.
std::vector<std::string> GradeReasons(const std::vector<state::ProductRow>& products);
// Of those products: its image; null: there is none.
const state::ProductRow* MosaicImage(const std::vector<state::ProductRow>& products);
// The address below /images/ of a product that pages and API may link to: on the disk, below the images directory, of a
// kind and size that is served, with a name of plain characters. Empty for others.
std::string ServedPath(const std::filesystem::path& images, const state::ProductRow& product);

}  // namespace contimg::ops
