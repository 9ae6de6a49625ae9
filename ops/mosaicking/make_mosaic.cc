#include "ops/mosaicking/make_mosaic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/base/checksum.h"
#include "ops/base/host_name.h"
#include "ops/base/shell_word.h"
#include "ops/base/version.h"
#include "ops/job/job.h"
#include "ops/job/worker_process.h"
#include "ops/mosaics/due.h"
#include "ops/mosaics/gate_marks.h"
#include "ops/mosaics/strips.h"
#include "ops/records/former_forms.h"
#include "state/own_source_store.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::MosaicRow;
using state::MosaicTileRow;

constexpr const char* kMakeStage = "mosaic";

void RequireTwo(const std::vector<TileOnRecord>& tiles, const std::string& what) {
  if (tiles.size() >= 2) return;
  throw Error(ErrorKind::kBadInput, kMakeStage, what,
              fmt::format("expected two tiles or more on record and on the disk, found {}", tiles.size()));
}

// Our own sources in the field: about the mean of the tiles' directions, to the farthest tile and half its diagonal.
std::vector<MosaicJobSource> SourcesOf(const std::vector<TileOnRecord>& tiles, const fs::path& database) {
  std::vector<MosaicJobSource> sources;
  if (!Exists(database)) return sources;
  double x = 0, y = 0, z = 0;
  const auto direction = [](const TileOnRecord& tile) {
    return SkyDirection{Angle::Degrees(tile.ra_deg), Angle::Degrees(tile.dec_deg)};
  };
  for (const TileOnRecord& tile : tiles) {
    const SkyDirection at = direction(tile);
    x += std::cos(at.dec.rad()) * std::cos(at.ra.rad());
    y += std::cos(at.dec.rad()) * std::sin(at.ra.rad());
    z += std::sin(at.dec.rad());
  }
  const SkyDirection middle{WrapPositive(Angle::Radians(std::atan2(y, x))),
                            Angle::Radians(std::atan2(z, std::hypot(x, y)))};
  constexpr double kTileReachDeg = 3, kMostDeg = 90;
  double reach_deg = 0;
  for (const TileOnRecord& tile : tiles) reach_deg = std::max(reach_deg, Separation(middle, direction(tile)).deg());
  state::SourceStore store(database, state::DatabaseOptions::ForOneLook());
  auto ours = state::OwnSourceStore(store.database())
                  .Near(middle.ra.deg(), middle.dec.deg(), std::min(kMostDeg, reach_deg + kTileReachDeg));
  std::sort(ours.begin(), ours.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const state::OwnSourceRow& own : ours) {
    MosaicJobSource& source = sources.emplace_back();
    source.source_id = own.id;
    source.name = own.name;
    source.ra_deg = own.ra_deg;
    source.dec_deg = own.dec_deg;
    source.flux_jy = own.flux_jy;
    source.spectral_index = own.spectral_index;
    if (own.origin == "catalogue" && own.place_version == 0) source.flags = quality::kPlaceUnrefined.mask();
  }
  return sources;
}

MosaicJob JobOf(const MosaicOrder& order, const ProductPaths& paths, const Settings& settings) {
  MosaicJob job;
  for (const TileOnRecord& tile : order.tiles)
    job.tiles.push_back({tile.group, tile.path, tile.checksum, tile.grade, tile.thermal_jy});
  job.prefix = paths.MosaicPrefix(UtcTime::FromMjd(order.window.start_mjd).Iso8601(),
                                  UtcTime::FromMjd(order.window.end_mjd).Iso8601(), order.window.strip_deg);
  job.sources = SourcesOf(order.tiles, paths.Database(StateDatabase::kMasterSources));
  job.max_scale_error = settings.mosaic.max_scale_error;
  job.fits = settings.image.format != "casacore";
  job.casacore = settings.image.format != "fits";
  job.compress = settings.image.compress;
  job.durable = settings.convert.durable;
  job.seed = settings.photometry.seed;
  job.min_response = settings.photometry.min_response;
  job.software = std::string("contimg ") + kVersion;
  job.settings_hash = SettingsHash(settings);
  return job;
}

MosaicRow RowOf(const MosaicOrder& order, const std::string& settings_hash) {
  MosaicRow row = RecordOf(order.window);
  row.kind = order.kind;
  row.settings_hash = settings_hash;
  return row;
}

std::vector<MosaicTileRow> TileRows(const MosaicOrder& order, const mosaic::MosaicReport& report) {
  std::map<std::string, const mosaic::MosaicTile*> judged;
  for (const mosaic::MosaicTile& tile : report.tiles) judged[tile.path.string()] = &tile;
  std::vector<MosaicTileRow> rows;
  for (const TileOnRecord& tile : order.tiles) {
    const mosaic::TileVerdict& verdict = judged.at(tile.path)->verdict;
    MosaicTileRow& row = rows.emplace_back();
    row.group_id = tile.group;
    row.image_id = tile.image_id;
    row.checksum = tile.checksum;
    row.mjd = tile.mjd;
    row.used = verdict.refusal == mosaic::Refusal::kNone;
    if (!row.used) row.refusal = mosaic::ToString(verdict.refusal);
    row.why = verdict.why;
    row.n_references = static_cast<int>(verdict.scale.references);
    if (row.n_references > 0) {
      row.scale = verdict.scale.scale;
      row.scale_error = verdict.scale.error;
    }
  }
  return rows;
}

// Of one making: the job and its products.
class Recorder {
 public:
  Recorder(const MosaicOrder& order, const MosaicJob& job, const MosaicJobResult& result, const Settings& settings,
           double started_at)
      : order_(order), job_(job), result_(result), settings_(settings), started_at_(started_at) {
    quality_ = mosaic::ToJson(result.report).dump();
  }

  MosaicRow Record(state::ProductStore& products, const RunContext& context) {
    std::vector<state::ProductRow> rows;
    for (const auto& [kind, path] : result_.products) rows.push_back(Product(kind, path, context));
    const double now = UtcTime::Now().unix_s();
    MosaicRow made;
    products.database().Write([&] {
      const std::int64_t job_id = products.AddJob(JobRow(now));
      MosaicRow row = RowOf(order_, job_.settings_hash);
      row.grade = result_.report.quality.grade;
      std::vector<std::int64_t> ids, tiles;
      for (state::ProductRow& product : rows) {
        product.job_id = job_id;
        ids.push_back(products.Save(product, now));
        if (!row.image_id && product.kind == ToString(ProductKind::kMosaic)) row.image_id = ids.back();
      }
      const std::vector<MosaicTileRow> tile_rows = TileRows(order_, result_.report);
      for (const MosaicTileRow& tile : tile_rows) {
        if (tile.used) tiles.push_back(*tile.image_id);
      }
      for (std::size_t i = 0; i < rows.size(); ++i)
        products.SetParents(ids[i], ParentsOf(rows[i], row.image_id, tiles));
      RetireFormerForms(products, order_.window.name, now);
      made = state::MosaicStore(products.database()).Close(row, tile_rows, now);
    });
    return made;
  }

 private:
  // What is said of the image and measured in it is made of it; all else of the tiles.
  static std::vector<std::int64_t> ParentsOf(const state::ProductRow& product, std::optional<std::int64_t> image,
                                             const std::vector<std::int64_t>& tiles) {
    const ProductKind kind = ParseProductKind(product.kind);
    const bool of_image = kind == ProductKind::kMosaicPicture || kind == ProductKind::kMosaicMetrics ||
                          kind == ProductKind::kMosaicPhotometry || kind == ProductKind::kMosaicSources;
    return of_image && image ? std::vector<std::int64_t>{*image} : tiles;
  }

  state::ProductRow Product(ProductKind kind, const fs::path& path, const RunContext& context) const {
    const image::FitsHeader& header = result_.report.header;
    state::ProductRow product;
    product.kind = ToString(kind);
    product.path = path.string();
    product.group_id = order_.window.name;
    product.start_mjd = header.start_mjd_s / kSecondsPerDay;
    product.end_mjd = header.end_mjd_s / kSecondsPerDay;
    const double ra_deg = WrapPositive(Angle::Radians(header.centre.ra_rad)).deg();
    product.ra_deg = ra_deg < 360 ? ra_deg : 0;
    product.dec_deg = Angle::Radians(header.centre.dec_rad).deg();
    product.size_bytes = static_cast<std::int64_t>(ProductBytes(path, OsOr(context.os)));
    product.checksum = ProductChecksum(path, context.threads, OsOr(context.os));
    if (kind == ProductKind::kMosaic || kind == ProductKind::kMosaicPicture || kind == ProductKind::kMosaicMetrics) {
      product.qa_json = quality_;
      product.qa_grade = result_.report.quality.grade;
    }
    return product;
  }

  state::JobRow JobRow(double now) const {
    state::JobRow row;
    row.group_id = order_.window.name;
    row.kind = kMakeStage;
    row.settings_hash = job_.settings_hash;
    row.settings_json = SettingsJson(settings_).dump();
    row.program_version = kVersion;
    row.host = HostName();
    row.command = "contimg mosaic";
    for (const MosaicJobTile& tile : job_.tiles) row.command += " " + ShellWord(tile.image.string());
    row.command += " --out " + ShellWord(job_.prefix.string()) + " --overwrite";
    row.started_at = started_at_;
    row.finished_at = now;
    row.outcome = "done";
    row.peak_memory_bytes = static_cast<std::int64_t>(PeakMemoryBytes());
    const mosaic::MosaicTimings& t = result_.report.timings;
    row.timings_json = nlohmann::json{{kMakeStage, {{"seconds", t.total_s}}}}.dump();
    row.job_json = ToJson(job_).dump();
    row.instruction_set = InstructionSet();
    return row;
  }

  const MosaicOrder& order_;
  const MosaicJob& job_;
  const MosaicJobResult& result_;
  const Settings& settings_;
  double started_at_;
  std::string quality_;
};

// The record of what another attempt has made to this order, if its files are as they were recorded.
std::optional<MosaicRow> MadeBefore(const MosaicOrder& order, const std::string& settings_hash,
                                    state::ProductStore& products, const RunContext& context) {
  state::MosaicStore store(products.database());
  auto row = store.Find(order.window.name);
  if (!row || row->state != "closed" || row->updated_at < *order.asked_at || row->settings_hash != settings_hash) {
    return {};
  }
  const auto tiles = store.Tiles(row->id);
  const bool same = std::equal(order.tiles.begin(), order.tiles.end(), tiles.begin(), tiles.end(),
                               [](const TileOnRecord& wanted, const MosaicTileRow& tile) {
                                 return wanted.group == tile.group_id && wanted.checksum == tile.checksum;
                               });
  if (!same) return {};
  state::ProductQuery query;
  query.group_id = row->name;
  const auto files = products.List(query);
  Os& os = OsOr(context.os);
  const bool there = std::all_of(files.begin(), files.end(), [&](const state::ProductRow& file) {
    return file.status == "present" && Exists(file.path, os) &&
           ProductChecksum(file.path, context.threads, os) == file.checksum;
  });
  return there ? row : std::nullopt;
}

std::vector<std::string> Mark(const MosaicOrder& order, state::ProductStore& products, const fs::path& database) {
  if (!Exists(database)) return {};
  std::vector<std::string> groups;
  for (const TileOnRecord& tile : order.tiles) groups.push_back(tile.group);
  state::SourceStore sources(database);
  return MarkTiles(products, sources.database(), groups);
}

// The one that there is near it.
double StripAskedFor(state::ProductStore& products, double dec_deg) {
  state::MosaicStore mosaics(products.database());
  return Strips(mosaics.Strips(), {}).Nearest(dec_deg).value_or(dec_deg);
}

// Between which times images are on record; nothing: 0 and −1.
std::pair<double, double> SpanOfImages(state::ProductStore& products) {
  state::ProductQuery query;
  query.kind = ToString(ProductKind::kImage);
  query.limit = 1;
  query.newest_first = false;
  const auto oldest = products.List(query);
  query.newest_first = true;
  const auto newest = products.List(query);
  return oldest.empty() ? std::pair(0.0, -1.0) : std::pair(oldest.front().start_mjd, newest.front().end_mjd);
}

// Of the newest passages that have some.
std::vector<TileOnRecord> NewestPassages(const std::vector<TileOnRecord>& tiles, int days) {
  if (days <= 0 || tiles.empty()) return tiles;
  std::set<long> passages;
  const double newest = tiles.back().mjd;
  const auto passage = [&](const TileOnRecord& tile) { return std::lround((newest - tile.mjd) / kSiderealDay); };
  for (const TileOnRecord& tile : tiles) passages.insert(passage(tile));
  while (passages.size() > static_cast<std::size_t>(days)) passages.erase(std::prev(passages.end()));
  std::vector<TileOnRecord> some;
  for (const TileOnRecord& tile : tiles) {
    if (passages.count(passage(tile)) > 0) some.push_back(tile);
  }
  return some;
}

}  // namespace

MosaicOrder OrderHourly(state::ProductStore& products, const MosaicWindow& window) {
  MosaicOrder order{"hourly", window, {}};
  order.tiles =
      TilesOf(window, TilesOnRecord(products, window.start_mjd, window.end_mjd, std::vector{window.strip_deg}));
  RequireTwo(order.tiles, window.name);
  return order;
}

MosaicOrder OrderDeep(state::ProductStore& products, const DeepRequest& request) {
  MosaicOrder order{"deep", {}, {}};
  const double length_h = HoursInto(request.lst_start_h, request.lst_end_h);
  std::optional<double> strip_deg = request.strip_deg;
  if (strip_deg) strip_deg = StripAskedFor(products, *strip_deg);
  std::vector<double> strips;
  if (strip_deg) strips.push_back(*strip_deg);
  std::vector<TileOnRecord> tiles;
  const auto take = [&](TileOnRecord& tile) {
    if (HoursInto(request.lst_start_h, LstHours(tile.mjd, tile.strip_deg)) >= length_h) return;
    if (!strip_deg) strips.push_back(strip_deg.emplace(tile.strip_deg));
    if (state::SameStrip(tile.strip_deg, *strip_deg)) {
      tiles.push_back(std::move(tile));
    } else if (!request.strip_deg) {
      throw Error(ErrorKind::kUsage, kMakeStage, "--strip",
                  fmt::format("there are tiles of several strips of declination ({:+.1f} and {:+.1f}): name one",
                              *strip_deg, tile.strip_deg));
    }
  };
  const auto [first, last] = SpanOfImages(products);
  constexpr double kAtOnceDays = 10;  // a year's figures of quality are not held at once
  const double end = std::min(request.to_mjd, last + 1);
  for (double from = std::max(request.from_mjd, first); from < end; from += kAtOnceDays) {
    for (TileOnRecord& tile : TilesOnRecord(products, from, std::min(end, from + kAtOnceDays), strips)) take(tile);
  }
  const std::string what = fmt::format("sidereal time {:.3f} to {:.3f} h", request.lst_start_h, request.lst_end_h);
  order.tiles = NewestPassages(tiles, request.days);
  RequireTwo(order.tiles, what);
  order.window = WindowOf(order.tiles.front().mjd, order.tiles.back().mjd, *strip_deg);
  order.window.lst_start_h = request.lst_start_h;
  order.window.lst_end_h = request.lst_end_h;
  return order;
}

MadeMosaic MakeMosaic(const MosaicOrder& order, const ProductPaths& paths, const Settings& settings,
                      state::ProductStore& products, const RunContext& context) {
  state::MosaicStore store(products.database());
  const double started_at = UtcTime::Now().unix_s();
  const MosaicJob job = JobOf(order, paths, settings);
  MadeMosaic made;
  if (order.asked_at) {
    if (auto row = MadeBefore(order, job.settings_hash, products, context)) {
      made.row = std::move(*row);
      made.was_there = true;
      made.marked = Mark(order, products, paths.Database(StateDatabase::kMasterSources));
      return made;
    }
  }
  store.Open(RowOf(order, job.settings_hash), started_at);
  try {
    MosaicJobResult result = RunMosaicJob(job, context);
    context.CheckCancelled(kMakeStage);
    made.row = Recorder(order, job, result, settings, started_at).Record(products, context);
    made.marked = Mark(order, products, paths.Database(StateDatabase::kMasterSources));
    made.report = std::move(result.report);
    made.found = result.found;
    made.measured = result.measured;
    return made;
  } catch (const Error& error) {
    if (!MayPass(error.kind()) && error.kind() != ErrorKind::kCancelled) {
      store.Fail(order.window.name, error.what(), UtcTime::Now().unix_s());
    }
    throw;
  }
}

}  // namespace contimg::ops
