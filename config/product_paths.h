// Every name the pipeline reads or writes on disk: made and parsed here and nowhere else. C++17-clean.
//
//   <input>/                          2025-10-13T13:28:03_sb00.hdf5 (also 2025-10-13_13_28_03_sb00.hdf5)
//   <output>/calibrators/YYYY-MM-DD/  <timestamp>_24h.ms .kcal .bpcal .gpcal    <timestamp>_1h.ms .gpcal
//   <output>/science/YYYY-MM-DD/      <timestamp>.ms
//   <output>/failed/YYYY-MM-DD/       <timestamp>.ms <timestamp>.log
//   <images>/single/YYYY-MM-DD/       <timestamp>.image.pbcor .image .residual .model .psf .pb .smear .dirty, with
//                                     spectra .alpha .alpha.error .band00.image …; <timestamp>.photometry .sources
//   <images>/mosaics/                 <start>_<end>_<dec>.image .residual .rms .weight .tiles .photometry .sources
//                                     .qa.png .metrics.json
//   <images>/qa/YYYY-MM-DD/           <timestamp>.qa.png <timestamp>.metrics.json
//   <staging>/<timestamp>/            the group's own directory in memory
//   <state>/                          ingest.sqlite3 cal_registry.sqlite3 products.sqlite3 master_sources.sqlite3
//                                     operations.sqlite3
//
// FITS images carry ".fits" behind the names above, compressed ones ".fits.fz". <timestamp> is ISO 8601 UTC to the
// second ("2025-10-13T13:28:03") and is also the id of its group.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/product_kind.h"

namespace contimg {

// The roots, as settings give them (section "paths"). An empty root means "not configured": a path below it cannot be
// made (Error{kUsage} naming the variable to set).
struct DirectoryRoots {
  std::filesystem::path scratch;
  std::filesystem::path state;
  std::filesystem::path input;    // default <scratch>/incoming
  std::filesystem::path output;   // default <scratch>/ms
  std::filesystem::path images;   // default <scratch>/images
  std::filesystem::path tmp;      // default <scratch>/tmp
  std::filesystem::path staging;  // default /dev/shm/contimg
};

enum class CalInterval { k24Hours, k1Hour };
enum class CalKind { kDelay, kBandpass, kGain };  // .kcal .bpcal .gpcal
enum class ImageFormat { kFits, kFitsCompressed, kCasa };
enum class StateDatabase { kIngest, kCalRegistry, kProducts, kMasterSources, kOperations };

std::string_view ToString(CalInterval interval);  // "24h", "1h"
std::string_view ToString(CalKind kind);          // "K", "BP", "G"
std::string_view Extension(CalKind kind);         // "kcal", "bpcal", "gpcal"
// What stands behind "PREFIX." in the name of an image, its picture, its figures or a table: "image.pbcor.fits",
// "band03.image.fits.fz" (`band` counts), "qa.png", "metrics.json", "tiles.fits", "sources.fits". Throws Error{kBug}
// for other kinds.
std::string ProductSuffix(ProductKind kind, ImageFormat format = ImageFormat::kFits, int band = 0);

class ProductPaths {
 public:
  using Path = std::filesystem::path;
  explicit ProductPaths(DirectoryRoots roots) : roots_(std::move(roots)) {}
  const DirectoryRoots& roots() const { return roots_; }

  // Makers. `timestamp` is "2025-10-13T13:28:03"; anything else throws Error{kBadInput}. Nothing is created on disk.
  Path Incoming(std::string_view timestamp, int subband) const;
  Path ScienceMs(std::string_view timestamp) const;
  Path CalibratorMs(std::string_view timestamp, CalInterval interval) const;
  // Throws Error{kBug} for K or BP with a 1-hour interval: only gains are solved hourly.
  Path CalTable(std::string_view timestamp, CalInterval interval, CalKind kind) const;
  // The tables' common prefix "<timestamp>_24h", as `contimg solve --out` takes it.
  Path CalTablePrefix(std::string_view timestamp, CalInterval interval) const;
  Path FailedMs(std::string_view timestamp) const;
  Path FailedLog(std::string_view timestamp) const;
  Path Image(std::string_view timestamp, ProductKind kind, ImageFormat format = ImageFormat::kFits, int band = 0) const;
  // The images' common prefix, as `contimg image --out` takes it.
  Path ImagePrefix(std::string_view timestamp) const;
  // Start and end of the data in it and the declination of its centre, named to a tenth of a degree ("+16.1").
  Path Mosaic(std::string_view start, std::string_view end, double dec_deg,
              ImageFormat format = ImageFormat::kFits) const;
  // The common prefix of its products, as `contimg mosaic --out` takes it; the last part of it is MosaicName.
  Path MosaicPrefix(std::string_view start, std::string_view end, double dec_deg) const;
  Path QaPicture(std::string_view timestamp) const;
  Path QaMetrics(std::string_view timestamp) const;
  Path Staging(std::string_view timestamp) const;
  Path Quarantine() const;                    // <scratch>/quarantine: input files moved aside with a reason
  Path Static(std::string_view what) const;   // beam-model, catalogs, config
  Path Archive(std::string_view what) const;  // ms, images, catalogs
  Path Database(StateDatabase database) const;
  Path Jobs(std::string_view timestamp) const;  // <state>/jobs/YYYY-MM-DD/<timestamp>: job.json, report.json, output
  Path TaskJob(std::string_view kind, std::string_view subject) const;  // <state>/jobs/<kind>/<subject>: the same
  Path StateBackups() const;                                            // <state>/backups

  // Every directory of the tree that should exist before work starts; roots that are not configured are left out.
  std::vector<Path> StandingDirectories() const;

 private:
  DirectoryRoots roots_;
};

// Parsers. They look at the file name alone unless said otherwise and return nothing for any name that is not exactly
// of the form (so a caller can feed them a whole directory).

struct IncomingName {
  std::string timestamp;    // normalised to 2025-10-13T13:28:03
  int subband = 0;          // 0…99
  bool incomplete = false;  // the writer still has it open: "…_incomplete.hdf5"
};
std::optional<IncomingName> ParseIncomingName(const std::filesystem::path& path);

struct ProductName {
  ProductKind kind = ProductKind::kScienceMs;  // a group's partial one has the same name: the directory tells
  std::string timestamp;
  std::string end;                               // of what is of a mosaic: the start is its timestamp
  double dec_deg = 0;                            // likewise
  CalInterval interval = CalInterval::k24Hours;  // of kCalibratorMs, kCalTable
  CalKind cal_kind = CalKind::kDelay;            // of kCalTable
  ImageFormat format = ImageFormat::kFits;       // of images and mosaics
  int band = 0;                                  // of kBand

  bool of_mosaic() const { return !end.empty(); }
};
// Of finished products: nothing for the hidden names under which they are made.
std::optional<ProductName> ParseProductName(const std::filesystem::path& path);

// "2025-10-13T13:28:03_2025-10-13T14:30:46_+16.1": start and end, and the declination to a tenth of a degree. Throws
// Error{kBadInput} for an end before the start and declinations that there are not.
std::string MosaicName(std::string_view start, std::string_view end, double dec_deg);
// Its inverse; nothing for any other text.
struct MosaicSpan {
  std::string start, end;
  double dec_deg = 0;
};
std::optional<MosaicSpan> ParseMosaicName(std::string_view text);

// Of a Measurement Set, by its name: kCalibratorMs or kScienceMs (any other name too).
ProductKind MeasurementSetKind(const std::filesystem::path& path);

// True for "2025-10-13T13:28:03" with a date and time that exist.
bool IsTimestamp(std::string_view text);
// Day directory of a timestamp: "2025-10-13".
std::string DayOf(std::string_view timestamp);

}  // namespace contimg
