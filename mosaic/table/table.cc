#include "mosaic/table/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/unfinished.h"
#include "mosaic/table/fits_table.h"
#include "mosaic/table/stage_name.h"
#include "mosaic/table/table_json.h"

namespace contimg::mosaic {
namespace {

namespace fs = std::filesystem;

std::string NumberText(double value, int decimals) {
  if (!std::isfinite(value)) return "";
  return decimals >= 0 ? fmt::format("{:.{}f}", value, decimals) : fmt::format("{:.{}g}", value, -decimals);
}

std::string ValueText(const TableColumn& column, std::size_t row) {
  if (const auto* numbers = std::get_if<std::vector<double>>(&column.values))
    return NumberText((*numbers)[row], column.decimals);
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) return std::to_string((*whole)[row]);
  return std::get<std::vector<std::string>>(column.values)[row];
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string XmlText(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n') {
          safe += c;
        } else {
          safe += '?';  // XML 1.0 has no such character, however written
        }
    }
  }
  return safe;
}

// What the columns of times refer to.
std::string TimeSystems(const Table& table) {
  std::string text;
  for (const auto& [scale, place] : {std::pair("UTC", "TOPOCENTER"), std::pair("TDB", "BARYCENTER")}) {
    const bool used = std::any_of(table.columns.begin(), table.columns.end(),
                                  [scale = scale](const TableColumn& c) { return c.time_scale == scale; });
    if (!used) continue;
    text += fmt::format("<TIMESYS ID=\"{}\" timeorigin=\"MJD-origin\" timescale=\"{}\" refposition=\"{}\"/>\n", scale,
                        scale, place);
  }
  return text;
}

const char* DatatypeOf(const TableColumn& column) {
  if (std::holds_alternative<std::vector<double>>(column.values)) return "datatype=\"double\"";
  if (std::holds_alternative<std::vector<std::int64_t>>(column.values)) return "datatype=\"long\"";
  return "datatype=\"char\" arraysize=\"*\"";
}

}  // namespace

std::size_t TableColumn::size() const {
  return std::visit([](const auto& list) { return list.size(); }, values);
}

TableForm FormOf(const fs::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".csv") return TableForm::kCsv;
  if (ending == ".vot" || ending == ".votable" || ending == ".xml") return TableForm::kVotable;
  if (ending == ".fits") return TableForm::kFits;
  throw Error(ErrorKind::kUsage, kStage, path.string(),
              fmt::format("expected a name that ends in .csv, .vot or .fits, found '{}'", path.filename().string()));
}

std::string CsvText(const Table& table) {
  std::string text;
  const auto line = [&](const auto& field) {
    bool first = true;
    for (const TableColumn& column : table.columns) {
      if (!column.in_csv) continue;
      if (!first) text += ',';
      text += CsvField(field(column));
      first = false;
    }
    text += '\n';
  };
  line([](const TableColumn& column) { return column.name; });
  for (std::size_t row = 0; row < table.rows(); ++row) {
    line([row](const TableColumn& column) { return ValueText(column, row); });
  }
  return text;
}

std::string VotableText(const Table& table) {
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n"
      "<RESOURCE type=\"results\">\n"
      "<COOSYS ID=\"icrs\" system=\"ICRS\"/>\n"
      "{}<TABLE name=\"{}\" nrows=\"{}\">\n<DESCRIPTION>{}</DESCRIPTION>\n",
      TimeSystems(table), XmlText(table.name), table.rows(), XmlText(table.description));
  for (const auto& [name, value] : table.facts) {
    text += fmt::format("<PARAM name=\"{}\" datatype=\"char\" arraysize=\"*\" value=\"{}\"/>\n", XmlText(name),
                        XmlText(value));
  }
  for (const TableColumn& column : table.columns) {
    text += fmt::format("<FIELD name=\"{}\" {}", XmlText(column.name), DatatypeOf(column));
    if (!column.unit.empty()) text += fmt::format(" unit=\"{}\"", XmlText(column.unit));
    if (!column.ucd.empty()) text += fmt::format(" ucd=\"{}\"", XmlText(column.ucd));
    if (column.ucd.rfind("pos.eq", 0) == 0) text += " ref=\"icrs\"";
    if (!column.time_scale.empty()) text += fmt::format(" ref=\"{}\"", column.time_scale);
    text += fmt::format("><DESCRIPTION>{}</DESCRIPTION></FIELD>\n", XmlText(column.meaning));
  }
  text += "<DATA><TABLEDATA>\n";
  for (std::size_t row = 0; row < table.rows(); ++row) {
    text += "<TR>";
    for (const TableColumn& column : table.columns) text += "<TD>" + XmlText(ValueText(column, row)) + "</TD>";
    text += "</TR>\n";
  }
  return text + "</TABLEDATA></DATA>\n</TABLE>\n</RESOURCE>\n</VOTABLE>\n";
}

void PublishResult(Os& os, const fs::path& path, bool overwrite, const std::function<void(const fs::path&)>& make) {
  CheckName(path, overwrite);
  const Unfinished hidden(path, os);
  make(hidden.path());
  os.SyncFile(hidden.path());
  if (overwrite) {
    os.Rename(hidden.path(), path);
  } else {
    os.RenameNew(hidden.path(), path);
  }
  os.SyncDirectory(hidden.path().parent_path());
}

void CheckName(const fs::path& path, bool overwrite) {
  if (!IsTaken(path)) return;
  if (!overwrite) throw Error(ErrorKind::kUsage, kStage, path.string(), "exists already; --overwrite replaces it");
  if (IsDirectory(path)) throw Error(ErrorKind::kUsage, kStage, path.string(), "is a folder");
}

fs::path MetadataPath(const fs::path& csv) { return fs::path(csv).replace_extension(".json"); }

void CheckResult(const fs::path& path, bool overwrite) {
  CheckName(path, overwrite);
  if (FormOf(path) == TableForm::kCsv) CheckName(MetadataPath(path), overwrite);
}

void WriteResult(Os& os, const fs::path& path, const std::string& text, bool overwrite) {
  PublishResult(os, path, overwrite, [&](const fs::path& hidden) {
    const auto file = os.Create(hidden);
    file->WriteAt(text.data(), text.size(), 0);
    file->Close();
  });
}

void WriteTable(Os& os, const fs::path& path, const Table& table, bool overwrite) {
  switch (FormOf(path)) {
    case TableForm::kCsv:
      CheckName(MetadataPath(path), overwrite);
      WriteResult(os, path, CsvText(table), overwrite);
      return WriteResult(os, MetadataPath(path), MetadataText(table), overwrite);
    case TableForm::kVotable:
      return WriteResult(os, path, VotableText(table), overwrite);
    case TableForm::kFits:
      return PublishResult(os, path, overwrite, [&](const fs::path& hidden) { WriteFitsTable(hidden, table); });
  }
}

}  // namespace contimg::mosaic
