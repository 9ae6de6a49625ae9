#include "ops/archive/object.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>
#include <optional>
#include <regex>
#include <utility>

#include "config/checksum.h"
#include "config/descriptor.h"
#include "config/os.h"
#include "config/product_kind.h"
#include "config/time.h"
#include "image/products/fits_image.h"
#include "ops/archive/stage_name.h"
#include "ops/base/checksum.h"
#include "ops/base/sha256.h"
#include "ops/base/table_checksum.h"
#include "ops/job/header_check.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{1} << 20;

std::string WithoutColons(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if (c == ':') continue;
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '+' || c == '.';
    name += plain ? c : '_';
  }
  return name;
}

std::string FolderOf(const std::string& product_class) {
  return product_class == "science_ms" || product_class == "calibrators" ? "ms" : product_class;
}

struct Changed {};  // while it was read

// What goes into the tar: the file behind an OsFile, counted and hashed.
class Output {
 public:
  Output(Os& os, const fs::path& path) : file_(os.Create(path)) {}
  void Add(const void* data, std::size_t size) {
    file_->WriteAt(data, size, position_);
    position_ += size;
    all_.Add(data, size);
    if (piece_) piece_->Add(data, size);
  }
  void BeginPiece() { piece_ = std::make_unique<Sha256>(); }
  std::string EndPiece() { return std::exchange(piece_, nullptr)->Hex(); }
  void Finish() {
    file_->Sync();
    file_->Close();
  }
  std::uint64_t position() const { return position_; }
  std::string Hex() const { return all_.Hex(); }

 private:
  std::unique_ptr<OsFile> file_;
  std::uint64_t position_ = 0;
  Sha256 all_;
  std::unique_ptr<Sha256> piece_;
};

// libarchive's writer. What our callback throws must not pass through C code: it is kept and thrown behind it.
class TarWriter {
 public:
  explicit TarWriter(Output& output) : output_(output), tar_(archive_write_new()) {
    if (tar_ == nullptr) throw Error(ErrorKind::kResource, kArchiveStage, "", "out of memory");
    // gnutar takes names as the bytes they are, whatever the locale.
    if (archive_write_set_format_gnutar(tar_) != ARCHIVE_OK || archive_write_add_filter_none(tar_) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(tar_, 0) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(tar_, 1) != ARCHIVE_OK) {
      archive_write_free(tar_);
      throw Error(ErrorKind::kBug, kArchiveStage, "", "libarchive does not write tar");
    }
    Check(archive_write_open(tar_, this, nullptr, &TarWriter::Write, nullptr));
  }
  ~TarWriter() { archive_write_free(tar_); }
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  void BeginFile(const std::string& name, std::uint64_t bytes, std::int64_t mtime_s) {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
    archive_entry_copy_pathname(entry.get(), name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes));
    archive_entry_set_mtime(entry.get(), mtime_s, 0);
    Check(archive_write_header(tar_, entry.get()));
  }
  void Add(const void* data, std::size_t size) {
    if (size > 0) Check(static_cast<int>(std::min<la_ssize_t>(archive_write_data(tar_, data, size), 0)));
  }
  void EndFile() { Check(archive_write_finish_entry(tar_)); }
  void Close() { Check(archive_write_close(tar_)); }

 private:
  static la_ssize_t Write(archive* tar, void* self, const void* data, std::size_t size) {
    auto& writer = *static_cast<TarWriter*>(self);
    try {
      if (!writer.failure_) writer.output_.Add(data, size);
    } catch (...) {
      writer.failure_ = std::current_exception();
    }
    if (!writer.failure_) return static_cast<la_ssize_t>(size);
    archive_set_error(tar, EIO, "cannot write");
    return -1;
  }
  void Check(int status) {
    if (failure_) std::rethrow_exception(failure_);
    if (status < ARCHIVE_WARN) throw Error(ErrorKind::kIo, kArchiveStage, "", "the tar cannot be written");
  }

  Output& output_;
  archive* tar_;
  std::exception_ptr failure_;
};

// The files of a product, sorted as ProductChecksum sorts them; refuses what is neither file nor folder.
std::vector<fs::path> FilesOf(const fs::path& product, Os& os) {
  struct stat info {};
  if (::lstat(product.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) throw Changed{};
    throw SystemError(kArchiveStage, product.string(), "cannot be looked at", errno);
  }
  if (S_ISREG(info.st_mode)) return {product};
  if (!S_ISDIR(info.st_mode)) {
    throw Error(ErrorKind::kUsage, kArchiveStage, product.string(),
                "expected a file or a folder, found a link or a device: it is not archived");
  }
  std::vector<fs::path> files;
  for (const fs::path& entry : os.List(product)) {
    if (entry.filename() == "table.lock") continue;
    const std::vector<fs::path> below = FilesOf(entry, os);
    files.insert(files.end(), below.begin(), below.end());
  }
  return files;
}

class Maker {
 public:
  Maker(const DirectoryRoots& roots, const fs::path& file, const RunContext& context, ImagesAs images)
      : roots_(roots),
        context_(context),
        images_(images),
        os_(OsOr(context.os)),
        compressed_(LossyName(file)),
        output_(os_, file),
        tar_(output_) {}

  void Add(const state::ProductRow& row) {
    const fs::path path = row.path;
    ManifestMember member;
    member.product = row.id;
    member.kind = row.kind;
    const auto place = InTree(path, roots_);
    if (!place)
      throw Error(ErrorKind::kUsage, kArchiveStage, row.path, "lies outside the directories of this installation");
    member.place = *place;
    member.group = row.group_id;
    member.start_mjd = row.start_mjd;
    member.end_mjd = row.end_mjd;
    member.ra_deg = row.ra_deg;
    member.dec_deg = row.dec_deg;
    member.grade = row.qa_grade;
    member.quality = nlohmann::json::parse(row.qa_json, nullptr, false);
    if (!member.quality.is_object()) member.quality = nlohmann::json::object();
    try {
      std::vector<fs::path> files = FilesOf(path, os_);
      std::sort(files.begin(), files.end());
      if (files.empty()) throw Changed{};
      const bool is_file = files.size() == 1 && files.front() == path;
      if (is_file && AddLossy(row, *place, member)) {
        made_.members.push_back(std::move(member));
        return;
      }
      member.offset = output_.position();
      if (!is_file) output_.BeginPiece();
      Xxh64 tree;
      std::string xxh64;
      for (const fs::path& file : files) {
        const std::string name = is_file ? "" : file.lexically_relative(path).string();
        const auto [entry, checksum] = AddFile(file, name, *place);
        xxh64 = checksum;
        tree.Add(fmt::format("{}  {}\n", checksum, name));
        member.size_bytes += entry.bytes;
        member.files.push_back(entry);
      }
      if (is_file) {
        member.offset = member.files.front().offset;
        member.bytes = member.files.front().bytes;
        member.sha256 = member.files.front().sha256;
      } else {
        xxh64 = tree.Hex();
        member.bytes = output_.position() - member.offset;
        member.sha256 = output_.EndPiece();
      }
      Compare(row, is_file, xxh64, member);
    } catch (const Changed&) {
      throw Error(ErrorKind::kBusy, kArchiveStage, row.path, "changed while it was read: it is archived another time");
    }
    made_.members.push_back(std::move(member));
  }

  MadeObject Finish() {
    tar_.Close();
    output_.Finish();
    made_.bytes = output_.position();
    made_.sha256 = output_.Hex();
    return std::move(made_);
  }

 private:
  // False: there is no lossy copy of it to be had, or none is wanted.
  bool AddLossy(const state::ProductRow& row, const TreePath& place, ManifestMember& member) {
    const auto kind = FindProductKind(row.kind);
    const bool is_image = kind && (HasPixels(*kind));
    if (images_ != ImagesAs::kRice || !is_image || fs::path(row.path).extension() != ".fits") return false;
    const struct Cleaner {
      ~Cleaner() {
        std::error_code ignored;
        fs::remove(file, ignored);
      }
      fs::path file;
    } cleaner{compressed_};
    os_.RemoveAll(compressed_);
    struct stat before {
    }, after{};
    if (::stat(row.path.c_str(), &before) != 0) throw Changed{};
    const auto copy = image::WriteRiceCopy(row.path, compressed_);
    if (!copy) return false;
    // Of the original: read after it was compressed, and not changed since before.
    member.size_bytes = static_cast<std::uint64_t>(before.st_size);
    member.sha256 = FileSha256(row.path);
    Compare(row, true, ProductChecksum(row.path, 1, os_), member);
    if (::stat(row.path.c_str(), &after) != 0 || after.st_size != before.st_size ||
        after.st_mtim.tv_sec != before.st_mtim.tv_sec || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec) {
      throw Changed{};
    }
    member.lossy = LossyCopy{
        "rice", image::kRiceQuantum, copy->largest_step, image::kRiceDitherSeed, member.size_bytes, member.sha256};
    ManifestFile entry =
        AddFile(compressed_, "", {place.root, LossyName(place.path).string()}, before.st_mtim.tv_sec).first;
    member.offset = entry.offset;
    member.bytes = entry.bytes;
    member.sha256 = entry.sha256;
    member.files.push_back(std::move(entry));
    return true;
  }

  // `mtime_s`: instead of its own.
  std::pair<ManifestFile, std::string> AddFile(const fs::path& path, const std::string& name, const TreePath& place,
                                               const std::optional<std::int64_t>& mtime_s = std::nullopt) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.open() && errno == ENOENT) throw Changed{};
    struct stat before {
    }, after{};
    if (!file.open() || ::fstat(file.get(), &before) != 0)
      throw SystemError(kArchiveStage, path.string(), "cannot read", errno);
    ManifestFile entry;
    entry.path = name;
    entry.bytes = static_cast<std::uint64_t>(before.st_size);
    entry.mtime_s = mtime_s.value_or(before.st_mtim.tv_sec);
    tar_.BeginFile(place.root + "/" + place.path + (name.empty() ? "" : "/" + name), entry.bytes, entry.mtime_s);
    entry.offset = output_.position();
    Sha256 sha256;
    Xxh64 xxh64;
    std::vector<char> buffer(kPiece);
    std::uint64_t n_read = 0;
    for (;;) {
      context_.CheckCancelled(kArchiveStage);
      const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw SystemError(kArchiveStage, path.string(), "cannot read", errno);
      if (n == 0) break;
      n_read += static_cast<std::uint64_t>(n);
      if (n_read > entry.bytes) throw Changed{};
      sha256.Add(buffer.data(), static_cast<std::size_t>(n));
      xxh64.Add(buffer.data(), static_cast<std::size_t>(n));
      tar_.Add(buffer.data(), static_cast<std::size_t>(n));
    }
    if (::fstat(file.get(), &after) != 0) throw SystemError(kArchiveStage, path.string(), "cannot read", errno);
    if (n_read != entry.bytes || after.st_size != before.st_size || after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
        after.st_mtim.tv_nsec != before.st_mtim.tv_nsec) {
      throw Changed{};
    }
    tar_.EndFile();
    entry.sha256 = sha256.Hex();
    return {std::move(entry), xxh64.Hex()};
  }

  // The record of an input file is a digest of samples; its whole content is known from the first reading on (SHA-256).
  // Of contimg 0.1 there are other digests.
  void Compare(const state::ProductRow& row, bool is_file, const std::string& xxh64, ManifestMember& member) const {
    member.checksum = row.checksum.empty() ? xxh64 : row.checksum;
    const bool input = row.kind == ToString(ProductKind::kUvh5);
    const bool same = member.checksum == xxh64 || (input && is_file && HasFingerprint(row.path, member.checksum)) ||
                      (!is_file && HasTableChecksum(row.path, member.checksum, os_));
    if (!same || (is_file && row.sha256 && *row.sha256 != member.sha256)) {
      throw Error(ErrorKind::kBadInput, kArchiveStage, row.path,
                  fmt::format("expected the checksum {}, found {}: it is not what was recorded",
                              same ? *row.sha256 : member.checksum, same ? member.sha256 : xxh64));
    }
  }

  const DirectoryRoots& roots_;
  const RunContext& context_;
  ImagesAs images_;
  Os& os_;
  fs::path compressed_;
  Output output_;
  TarWriter tar_;
  MadeObject made_;
};

}  // namespace

std::string ObjectName(const std::string& product_class, const state::ProductRow& product, int number) {
  const std::string day = product.start_mjd > 0           ? UtcTime::FromMjd(product.start_mjd).Date()
                          : IsTimestamp(product.group_id) ? DayOf(product.group_id)
                                                          : std::string("undated");
  const std::string stem =
      product.group_id.empty()
          ? fmt::format("{}-{}", WithoutColons(fs::path(product.path).filename().string()), product.id)
          : WithoutColons(product.group_id);
  return fmt::format("{}/{}/{}.{}{}.tar", FolderOf(product_class), day, stem, product_class,
                     number > 1 ? fmt::format(".{}", number) : "");
}

std::string WithNumber(const std::string& object, int number) {
  static const std::regex form(R"((.*\.[a-z_]+)(\.\d+)?\.tar)");
  std::smatch parts;
  if (!std::regex_match(object, parts, form))
    throw Error(ErrorKind::kBug, kArchiveStage, object, "is no name of an object");
  return parts[1].str() + (number > 1 ? fmt::format(".{}", number) : "") + ".tar";
}

bool IsObjectName(const fs::path& relative) {
  static const std::regex form(R"([a-z_]+/(\d{4}-\d\d-\d\d|undated)/[A-Za-z0-9._+-]+\.[a-z_]+(\.\d+)?\.tar(\.json)?)");
  return std::regex_match(relative.string(), form);
}

MadeObject MakeObject(const std::vector<state::ProductRow>& products, const DirectoryRoots& roots, const fs::path& file,
                      const RunContext& context, ImagesAs images) {
  Os& os = OsOr(context.os);
  try {
    Maker maker(roots, file, context, images);
    for (const state::ProductRow& row : products) maker.Add(row);
    return maker.Finish();
  } catch (...) {
    try {
      os.RemoveAll(file);
    } catch (const Error&) {  // the first failure says more; what is left is swept
    }
    throw;
  }
}

}  // namespace contimg::ops
