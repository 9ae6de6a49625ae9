// The mosaic of `contimg demo`: one of all its tiles, made by the daemon as its own are.
#pragma once

#include <string>

#include "config/product_paths.h"

namespace contimg::ops {

// Puts a task for it into the queue of the daemon that runs. Returns the mosaic's name; empty: there are fewer than two
// tiles on record, and nothing is asked for.
std::string AskForDemoMosaic(const ProductPaths& paths);
// Waits until it is made. Throws Error{kBug} when it was given up, Error{kTimeout} after `patience_s`.
void WaitForDemoMosaic(const ProductPaths& paths, const std::string& name, double patience_s);
// Its image, tiles and grade. `contimg`: the command with the demo's settings, as "(. environment; contimg".
void PrintDemoMosaic(const ProductPaths& paths, const std::string& name, const std::string& contimg, int port);

}  // namespace contimg::ops
