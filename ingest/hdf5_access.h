// The HDF5 library behind two rules: one thread at a time, and no exception but contimg::Error. Used by ingest only.
#pragma once

#include <H5Cpp.h>
#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "config/error.h"

namespace contimg::ingest {

using Shape = std::vector<hsize_t>;

// Debian's HDF5 is not built thread-safe: every call, the closing of handles included, happens under this lock.
// Recursive, because handles may close while the lock is held.
std::recursive_mutex& Hdf5Mutex();

// Makes the library quiet (its error stack never reaches stderr) and knows the LZF filter that h5py writes.
// Idempotent; needs the lock.
void PrepareHdf5();

// Error{kBadInput} about `path`.
Error BadFile(const std::filesystem::path& path, std::string message);

// Runs `body` under the lock; an H5::Exception becomes Error{kBadInput} "HDF5 cannot read it (…)".
template <typename Body>
auto WithHdf5(const std::filesystem::path& path, Body&& body) {
  const std::lock_guard lock(Hdf5Mutex());
  PrepareHdf5();
  try {
    return body();
  } catch (const H5::Exception& error) {
    throw BadFile(path, fmt::format("HDF5 cannot read it ({})", error.getDetailMsg()));
  }
}

// Opens for reading. The file's existence, size, signature and completeness are checked before the library sees it, so
// that the usual damages get a sentence of their own. Needs the lock.
H5::H5File OpenHdf5(const std::filesystem::path& path);

// One group of one file, with reads that check. All need the lock.
class Hdf5Group {
 public:
  Hdf5Group(const H5::H5File& file, std::filesystem::path path, std::string name);

  const std::filesystem::path& path() const { return path_; }
  bool Has(const std::string& name) const;
  bool IsGroup(const std::string& name) const;
  // True for a data set that holds something: writers store "no value" as an empty data set.
  bool HasValue(const std::string& name) const;
  // The data set; Error{kBadInput} when it is missing.
  H5::DataSet Open(const std::string& name) const;
  std::vector<std::string> MemberNames() const;  // data sets directly in this group, in order of name
  std::vector<std::string> GroupNames() const;   // groups, likewise
  static Shape ShapeOf(const H5::DataSet& data_set);

  // All elements in C order, converted to double or int64. `shape` receives the shape (empty for a scalar).
  std::vector<double> Doubles(const std::string& name, Shape* shape = nullptr) const;
  std::vector<std::int64_t> Integers(const std::string& name, Shape* shape = nullptr) const;
  // Strings of fixed or variable length, without padding. Control characters come as Printable (config/text.h) shows
  // them: names of a header reach terminals, logs and Measurement Sets.
  std::vector<std::string> Strings(const std::string& name, Shape* shape = nullptr) const;
  // One value: a scalar, or an array of one element.
  double Double(const std::string& name) const;
  std::int64_t Integer(const std::string& name) const;
  std::string String(const std::string& name) const;
  // A truth value: h5py's booleans, or an integer, of which 0 is false.
  bool Boolean(const std::string& name) const;
  // The same for a text of several lines: line feeds stay. "" when there is no such data set.
  std::string LinesOrEmpty(const std::string& name) const;
  // "" when there is no such data set.
  std::string StringOrEmpty(const std::string& name) const { return Has(name) ? String(name) : std::string(); }

  // "Header/time_array"
  std::string Name(const std::string& name) const { return name_ + "/" + name; }
  Error Bad(const std::string& name, const std::string& message) const {
    return BadFile(path_, Name(name) + " " + message);
  }

 private:
  std::vector<std::string> RawStrings(const std::string& name, Shape* shape) const;
  std::filesystem::path path_;
  std::string name_;
  H5::Group group_;
};

// "(24, 1, 48, 2)"
std::string ToString(const Shape& shape);

}  // namespace contimg::ingest
