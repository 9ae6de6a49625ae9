#include "ops/lightcurves/light_curve_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "config/error.h"
#include "config/telescope.h"
#include "mosaic/table/fits_table.h"
#include "mosaic/table/table_json.h"
#include "ops/base/file_word.h"
#include "ops/base/version.h"
#include "ops/lightcurves/light_curve_table.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using mosaic::Table;
using mosaic::TableCard;
using mosaic::TableColumn;
using state::OwnSourceRow;

constexpr const char* kExportStage = "lightcurve";
constexpr const char* kMark = ".contimg-lightcurves";
constexpr const char* kOurOwn = "dsa-110";
constexpr std::int64_t kMjdInJd = 2400000;  // and a half

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// The columns that all light curves have, under the names that readers look for, and these first.
Table InTheFormOfOthers(Table table, const OwnSourceRow& source, const std::string& telescope) {
  const std::pair<const char*, const char*> known[] = {
      {"bmjd_tdb", "TIME"},       {"flux_jy", "FLUX"},  {"flux", "FLUX"},  {"flux_error_jy", "FLUX_ERR"},
      {"flux_error", "FLUX_ERR"}, {"flags", "QUALITY"}, {"mjd", "MJD_UTC"}};
  std::vector<TableColumn> first, rest;
  for (TableColumn& column : table.columns) column.in_csv = true;
  for (const auto& [ours, theirs] : known) {
    for (TableColumn& column : table.columns) {
      if (column.name != ours) continue;
      first.push_back(std::move(column));
      first.back().name = theirs;
      column.name.clear();
    }
  }
  for (TableColumn& column : table.columns) {
    if (column.name.empty()) continue;
    column.name = Upper(column.name);
    rest.push_back(std::move(column));
  }
  first.insert(first.end(), std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
  table.columns = std::move(first);
  table.name = "LIGHTCURVE";
  const Itrf site = ToItrf(kDsa110Centre);
  table.cards = {
      {"TELESCOP", telescope, "telescope or survey"},
      {"OBJECT", source.name, "source"},
      {"RA_OBJ", source.ra_deg, "[deg] right ascension"},
      {"DEC_OBJ", source.dec_deg, "[deg] declination"},
      {"RADESYS", std::string("ICRS"), "frame of RA_OBJ and DEC_OBJ"},
      {"TIMESYS", std::string("TDB"), "scale of TIME"},
      {"TIMEUNIT", std::string("d"), "unit of TIME"},
      {"MJDREFI", std::int64_t{0}, "TIME counts from this MJD: whole days"},
      {"MJDREFF", 0.0, "and their fraction"},
      {"BJDREFI", kMjdInJd, "the same as barycentric JD: whole days"},
      {"BJDREFF", 0.5, "and their fraction"},
      {"TREFPOS", std::string("BARYCENTER"), "TIME is when it passed the barycentre"},
      {"TREFDIR", std::string("RA_OBJ,DEC_OBJ"), "of waves from there"},
      {"OBSGEO-X", site[0], "[m] telescope, ITRF"},
      {"OBSGEO-Y", site[1], "[m]"},
      {"OBSGEO-Z", site[2], "[m]"},
      {"CREATOR", std::string("contimg ") + kVersion, "program"},
  };
  table.facts.emplace_back("program", std::string("contimg ") + kVersion);
  return table;
}

std::string LowerWord(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return FileWord(name);
}

std::string BytesIn(const Table& table, mosaic::TableForm form) {
  switch (form) {
    case mosaic::TableForm::kCsv:
      return mosaic::CsvText(table);
    case mosaic::TableForm::kVotable:
      return mosaic::VotableText(table);
    default:
      return mosaic::FitsTableBytes(table);
  }
}

class ExportTree {
 public:
  ExportTree(state::Database& database, const LightCurveExport& request, const RunContext& context)
      : database_(database),
        sources_(database),
        request_(request),
        context_(context),
        os_(OsOr(context.os)),
        form_(mosaic::FormOf("x" + request.ending)),
        root_(request.folder / "lightcurves") {}

  ExportedLightCurves Write() {
    Prepare();
    std::vector<OwnSourceRow> sources = request_.only;
    if (sources.empty()) sources = AllWithPoints();
    std::size_t n = 0;
    for (const OwnSourceRow& source : sources) {
      context_.CheckCancelled(kExportStage);
      WriteSource(source);
      context_.reporter->Progress(kExportStage, static_cast<double>(++n) / static_cast<double>(sources.size()));
    }
    return done_;
  }

 private:
  void Prepare() {
    const fs::path mark = root_ / kMark;
    if (Exists(root_, os_) && !Exists(mark, os_) && !(IsDirectory(root_, os_) && os_.List(root_).empty())) {
      throw Error(ErrorKind::kUsage, kExportStage, root_.string(),
                  "is there and no export of light curves: name another --out");
    }
    os_.CreateDirectories(root_);
    if (!Exists(mark, os_))
      mosaic::WriteResult(os_, mark, "light curves, written by contimg lightcurve export\n", true);
  }
  std::vector<OwnSourceRow> AllWithPoints() {
    std::set<std::int64_t> ids;
    for (const std::int64_t id : state::LightCurveStore(database_).MeasuredSources()) ids.insert(id);
    if (request_.datasets) {
      for (const std::int64_t id : state::DatasetStore(database_).SourcesWithPoints()) ids.insert(id);
    }
    std::vector<OwnSourceRow> sources;
    for (const std::int64_t id : ids) {
      if (auto source = sources_.Find(id)) sources.push_back(std::move(*source));
    }
    return sources;
  }
  void WriteSource(const OwnSourceRow& source) {
    const auto catalogues = sources_.CataloguesOf(source.id);
    const std::string folder = catalogues.empty() ? kOurOwn : LowerWord(catalogues.front());
    state::LightCurveStore curves(database_);
    const auto points = LightCurveOf(curves, source, request_.curve);
    if (!points.empty()) {
      Put(root_ / folder / FileWord(source.name), ExportedLightCurve(source, points, request_.curve));
    }
    if (!request_.datasets) return;
    state::DatasetStore datasets(database_);
    for (const state::DatasetRow& row : datasets.Of(source.id)) {
      const auto whole = datasets.Find(row.id);
      if (whole->times.empty()) continue;  // a view
      const std::string place = whole->mission == state::DatasetRow{}.mission ? folder : LowerWord(whole->mission);
      Put(root_ / place / (FileWord(source.name) + "." + FileWord(whole->name)), ExportedDataset(source, *whole));
    }
  }
  void Put(const fs::path& stem, const Table& table) {
    os_.CreateDirectories(stem.parent_path());
    const fs::path path = stem.string() + request_.ending;
    done_.points += static_cast<std::int64_t>(table.rows());
    bool same = PutText(path, BytesIn(table, form_));
    if (form_ == mosaic::TableForm::kCsv) {
      same = PutText(stem.string() + ".json", mosaic::MetadataText(table)) && same;
    }
    ++(same ? done_.unchanged : done_.written);
  }
  // True when the file has this content already.
  bool PutText(const fs::path& path, const std::string& text) {
    if (IsFile(path, os_) && FileSize(path, os_) == text.size() && os_.ReadFile(path) == text) return true;
    mosaic::WriteResult(os_, path, text, true);
    return false;
  }

  state::Database& database_;
  state::OwnSourceStore sources_;
  const LightCurveExport& request_;
  const RunContext& context_;
  Os& os_;
  const mosaic::TableForm form_;
  const fs::path root_;
  ExportedLightCurves done_;
};

}  // namespace

Table ExportedLightCurve(const OwnSourceRow& source, const std::vector<LightCurvePoint>& points,
                         const LightCurveRequest& request) {
  return InTheFormOfOthers(LightCurveTable(source, points, request), source, state::DatasetRow{}.mission);
}

Table ExportedDataset(const OwnSourceRow& source, const state::DatasetRow& dataset) {
  return InTheFormOfOthers(DatasetTable(source, dataset), source, dataset.mission);
}

ExportedLightCurves ExportLightCurves(state::Database& database, const LightCurveExport& request,
                                      const RunContext& context) {
  return ExportTree(database, request, context).Write();
}

}  // namespace contimg::ops
