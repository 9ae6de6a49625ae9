#include "ingest/hdf5_access.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "config/os.h"
#include "config/text.h"
#include "ingest/lzf_filter.h"

namespace contimg::ingest {
namespace {

// The largest size that a data set may claim, as a multiple of the file's: deflate packs 1032 to 1 at most.
constexpr double kMostCompression = 1100;

constexpr std::array<unsigned char, 8> kSignature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

std::uint64_t LittleEndian64(const unsigned char* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

// The end-of-file address of a superblock at the start of the file with 8-byte addresses; 0 when it is another kind.
std::uint64_t StoredEndOfFile(const std::array<unsigned char, 64>& head) {
  const int version = head[8];
  if (version <= 1 && head[13] == 8) {
    const std::size_t base = version == 0 ? 24 : 28;
    return LittleEndian64(&head[base]) == 0 ? LittleEndian64(&head[base + 16]) : 0;
  }
  if ((version == 2 || version == 3) && head[9] == 8) {
    return LittleEndian64(&head[12]) == 0 ? LittleEndian64(&head[28]) : 0;
  }
  return 0;
}

// HDF5 writers hold an exclusive lock while they have a file open. (File systems without locks grant everything.)
bool IsLockedByWriter(int fd) { return flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK; }

void CheckBeforeOpening(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw SystemError("ingest", path.string(), "cannot open", errno);
  struct stat status {};
  std::array<unsigned char, 64> head{};
  const bool stat_ok = fstat(fd, &status) == 0;
  const ssize_t got = stat_ok && S_ISREG(status.st_mode) ? pread(fd, head.data(), head.size(), 0) : 0;
  const int error = errno;
  const bool locked = IsLockedByWriter(fd);
  close(fd);
  if (locked) {
    throw Error(ErrorKind::kBusy, "ingest", path.string(),
                "expected a finished file, found one that another program has open for writing");
  }
  if (!stat_ok || got < 0) throw SystemError("ingest", path.string(), "cannot read", error);
  if (!S_ISREG(status.st_mode)) throw BadFile(path, "expected a regular file, found a directory or device");
  if (status.st_size == 0) throw BadFile(path, "expected a UVH5 file, found an empty file (0 bytes)");
  if (std::memcmp(head.data(), kSignature.data(), kSignature.size()) != 0) {
    throw BadFile(path, "expected a UVH5 file, found a file without the HDF5 signature");
  }
  const std::uint64_t end = StoredEndOfFile(head);
  if (end > static_cast<std::uint64_t>(status.st_size)) {
    throw BadFile(path, fmt::format("is truncated: expected {} bytes, found {}", end, status.st_size));
  }
}

std::string TrimPadding(std::string text) {
  text.resize(std::strlen(text.c_str()));
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace

std::recursive_mutex& Hdf5Mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

void PrepareHdf5() {
  static const bool once = [] {
    H5::H5Library::dontAtExit();
    RegisterLzfFilter();
    return true;
  }();
  (void)once;
  H5::Exception::dontPrint();
}

Error BadFile(const std::filesystem::path& path, std::string message) {
  return Error(ErrorKind::kBadInput, "ingest", path.string(), std::move(message));
}

std::string ToString(const Shape& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

H5::H5File OpenHdf5(const std::filesystem::path& path) {
  CheckBeforeOpening(path);
  try {
    return H5::H5File(path.string(), H5F_ACC_RDONLY);
  } catch (const H5::Exception& error) {
    throw BadFile(path, fmt::format("expected a sound HDF5 file, found damaged structures ({})", error.getDetailMsg()));
  }
}

Hdf5Group::Hdf5Group(const H5::H5File& file, std::filesystem::path path, std::string name)
    : path_(std::move(path)), name_(std::move(name)) {
  const auto found = H5Lexists(file.getId(), name_.c_str(), H5P_DEFAULT);
  if (found <= 0) throw BadFile(path_, fmt::format("expected a group /{}, found none", name_));
  try {
    group_ = file.openGroup(name_);
  } catch (const H5::Exception&) {
    throw BadFile(path_, fmt::format("expected /{} to be a group, found something else", name_));
  }
}

bool Hdf5Group::Has(const std::string& name) const { return H5Lexists(group_.getId(), name.c_str(), H5P_DEFAULT) > 0; }

H5::DataSet Hdf5Group::Open(const std::string& name) const {
  if (!Has(name)) throw BadFile(path_, fmt::format("expected a data set {}, found none", Name(name)));
  try {
    return group_.openDataSet(name);
  } catch (const H5::Exception&) {
    throw Bad(name, "cannot be opened as a data set");
  }
}

bool Hdf5Group::IsGroup(const std::string& name) const {
  return Has(name) && group_.childObjType(name) == H5O_TYPE_GROUP;
}

bool Hdf5Group::HasValue(const std::string& name) const {
  return Has(name) && group_.childObjType(name) == H5O_TYPE_DATASET &&
         Open(name).getSpace().getSimpleExtentNpoints() > 0;
}

namespace {

std::vector<std::string> NamesOfType(const H5::Group& group, H5G_obj_t type) {
  std::vector<std::string> names;
  for (hsize_t i = 0; i < group.getNumObjs(); ++i) {
    if (group.getObjTypeByIdx(i) == type) names.push_back(group.getObjnameByIdx(i));
  }
  return names;
}

}  // namespace

std::vector<std::string> Hdf5Group::MemberNames() const { return NamesOfType(group_, H5G_DATASET); }

std::vector<std::string> Hdf5Group::GroupNames() const { return NamesOfType(group_, H5G_GROUP); }

Shape Hdf5Group::ShapeOf(const H5::DataSet& data_set) {
  const H5::DataSpace space = data_set.getSpace();
  Shape shape(static_cast<std::size_t>(std::max(space.getSimpleExtentNdims(), 0)));
  if (!shape.empty()) space.getSimpleExtentDims(shape.data());
  return shape;
}

namespace {

// Number of elements, refused when the file cannot hold them.
std::size_t CheckedCount(const Hdf5Group& group, const std::string& name, const H5::DataSet& data_set,
                         const Shape& shape) {
  double bytes = static_cast<double>(data_set.getDataType().getSize());
  std::size_t count = 1;
  for (const hsize_t extent : shape) {
    bytes *= static_cast<double>(extent);
    count *= extent;
  }
  const double file_size = static_cast<double>(FileSize(group.path()));
  if (bytes > kMostCompression * file_size) {
    throw group.Bad(name,
                    fmt::format("has shape {}, more than a file of {:.0f} bytes can hold", ToString(shape), file_size));
  }
  if (H5Sget_simple_extent_type(data_set.getSpace().getId()) == H5S_NULL) throw group.Bad(name, "holds no value");
  return count;
}

template <typename T>
std::vector<T> ReadNumbers(const Hdf5Group& group, const std::string& name, Shape* shape, const H5::PredType& type) {
  const H5::DataSet data_set = group.Open(name);
  Shape extent = Hdf5Group::ShapeOf(data_set);
  std::vector<T> values(CheckedCount(group, name, data_set, extent));
  try {
    if (!values.empty()) data_set.read(values.data(), type);
  } catch (const H5::Exception&) {
    throw group.Bad(name, "cannot be read: its storage is damaged");
  }
  if (shape != nullptr) *shape = std::move(extent);
  return values;
}

}  // namespace

std::vector<double> Hdf5Group::Doubles(const std::string& name, Shape* shape) const {
  const H5T_class_t kind = Open(name).getTypeClass();
  if (kind != H5T_FLOAT && kind != H5T_INTEGER) throw Bad(name, "has the wrong type: expected numbers");
  return ReadNumbers<double>(*this, name, shape, H5::PredType::NATIVE_DOUBLE);
}

std::vector<std::int64_t> Hdf5Group::Integers(const std::string& name, Shape* shape) const {
  if (Open(name).getTypeClass() != H5T_INTEGER) throw Bad(name, "has the wrong type: expected integers");
  return ReadNumbers<std::int64_t>(*this, name, shape, H5::PredType::NATIVE_INT64);
}

bool Hdf5Group::Boolean(const std::string& name) const {
  const H5T_class_t kind = Open(name).getTypeClass();
  if (kind != H5T_ENUM && kind != H5T_INTEGER) throw Bad(name, "has the wrong type: expected a boolean");
  const auto values = ReadNumbers<std::int8_t>(*this, name, nullptr, H5::PredType::NATIVE_INT8);
  if (values.size() != 1) throw Bad(name, fmt::format("expected one value, found {}", values.size()));
  return values[0] != 0;
}

std::vector<std::string> Hdf5Group::RawStrings(const std::string& name, Shape* shape) const {
  const H5::DataSet data_set = Open(name);
  if (data_set.getTypeClass() != H5T_STRING) throw Bad(name, "has the wrong type: expected strings");
  Shape extent = ShapeOf(data_set);
  const std::size_t count = CheckedCount(*this, name, data_set, extent);
  const H5::StrType type = data_set.getStrType();
  std::vector<std::string> strings;
  strings.reserve(count);
  try {
    if (type.isVariableStr()) {
      std::vector<char*> pointers(count, nullptr);
      data_set.read(pointers.data(), type);
      for (const char* text : pointers) strings.push_back(TrimPadding(text != nullptr ? text : ""));
      H5Dvlen_reclaim(type.getId(), data_set.getSpace().getId(), H5P_DEFAULT, pointers.data());
    } else {
      const std::size_t width = type.getSize();
      std::string bytes(count * width, '\0');
      if (!bytes.empty()) data_set.read(bytes.data(), type);
      for (std::size_t i = 0; i < count; ++i) strings.push_back(TrimPadding(bytes.substr(i * width, width)));
    }
  } catch (const H5::Exception&) {
    throw Bad(name, "cannot be read: its storage is damaged");
  }
  if (shape != nullptr) *shape = std::move(extent);
  return strings;
}

std::vector<std::string> Hdf5Group::Strings(const std::string& name, Shape* shape) const {
  std::vector<std::string> strings = RawStrings(name, shape);
  for (std::string& text : strings) text = Printable(text);
  return strings;
}

std::string Hdf5Group::LinesOrEmpty(const std::string& name) const {
  if (!Has(name)) return "";
  const std::vector<std::string> values = RawStrings(name, nullptr);
  if (values.size() != 1)
    throw Bad(name, fmt::format("has the wrong rank: expected one value, found {}", values.size()));
  return PrintableLines(values[0]);
}

double Hdf5Group::Double(const std::string& name) const {
  const std::vector<double> values = Doubles(name);
  if (values.size() != 1)
    throw Bad(name, fmt::format("has the wrong rank: expected one value, found {}", values.size()));
  return values[0];
}

std::int64_t Hdf5Group::Integer(const std::string& name) const {
  const std::vector<std::int64_t> values = Integers(name);
  if (values.size() != 1)
    throw Bad(name, fmt::format("has the wrong rank: expected one value, found {}", values.size()));
  return values[0];
}

std::string Hdf5Group::String(const std::string& name) const {
  std::vector<std::string> values = Strings(name);
  if (values.size() != 1)
    throw Bad(name, fmt::format("has the wrong rank: expected one value, found {}", values.size()));
  return std::move(values[0]);
}

}  // namespace contimg::ingest
