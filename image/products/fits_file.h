// Files of cfitsio. Internal to image/products/.
#pragma once

#include <fitsio.h>

#include <filesystem>
#include <string>

#include "config/error.h"
#include "image/products/fits_image.h"

namespace contimg::image {

// cfitsio's status as an Error.
void CheckFits(int status, ErrorKind kind, const std::filesystem::path& path, const char* doing);

// Throws Error{kBadInput} for a pipe or a device of that name, of which cfitsio would wait for ever. What is not there
// passes.
void RequireFile(const std::filesystem::path& path);

class FitsFile {
 public:
  FitsFile() = default;
  FitsFile(const FitsFile&) = delete;
  FitsFile& operator=(const FitsFile&) = delete;
  ~FitsFile() {
    int status = 0;
    if (file != nullptr) fits_close_file(file, &status);
  }
  fitsfile* file = nullptr;
};

// Opens the first image of the file and reads its header. Errors as ReadFitsHeader.
FitsHeader OpenFitsImage(const std::filesystem::path& path, FitsFile& fits);

class CardReader {
 public:
  explicit CardReader(fitsfile* file) : file_(file) {}
  double Number(const char* key, double otherwise);
  std::string Text(const char* key);

 private:
  fitsfile* file_;
};

}  // namespace contimg::image
