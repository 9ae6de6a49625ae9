#include "ops/cli/compare_products.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "calibrate/casacore/calibration_table.h"
#include "config/error.h"
#include "config/machine.h"
#include "config/os.h"
#include "convert/measurement_set_reader.h"
#include "image/products/casacore/casacore_image.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kCard = 80, kFitsBlock = 2880;

// The cards of all headers without those that change with the date of writing, and where the data of the first unit
// begin. `text` may hold extensions: they are compared as bytes with their headers.
std::vector<std::string> Cards(const std::string& text, std::size_t& data_at) {
  std::vector<std::string> cards;
  for (std::size_t at = 0; at + kCard <= text.size(); at += kCard) {
    const std::string card = text.substr(at, kCard), keyword = card.substr(0, 8);
    if (keyword == "END     ") {
      data_at = (at + kCard + kFitsBlock - 1) / kFitsBlock * kFitsBlock;
      return cards;
    }
    // The signature of the calibration covers the checksums of tables, which hold dates; tables are compared
    // themselves.
    const bool signature = card.rfind("HISTORY calibrated by ", 0) == 0;
    if (keyword != "DATE    " && keyword != "CHECKSUM" && keyword != "DATASUM " && !signature) cards.push_back(card);
  }
  data_at = text.size();
  return cards;
}

std::string Trimmed(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string CompareFits(const fs::path& a, const fs::path& b) {
  const std::string text_a = RealOs().ReadFile(a), text_b = RealOs().ReadFile(b);
  std::size_t data_a = 0, data_b = 0;
  const auto cards_a = Cards(text_a, data_a), cards_b = Cards(text_b, data_b);
  for (std::size_t i = 0; i < std::max(cards_a.size(), cards_b.size()); ++i) {
    if (i >= cards_a.size() || i >= cards_b.size() || cards_a[i] != cards_b[i]) {
      return fmt::format("header differs: '{}' against '{}'", i < cards_a.size() ? Trimmed(cards_a[i]) : "nothing",
                         i < cards_b.size() ? Trimmed(cards_b[i]) : "nothing");
    }
  }
  const std::size_t n = text_a.size() - data_a;
  if (n != text_b.size() - data_b) return fmt::format("{} bytes of data against {}", n, text_b.size() - data_b);
  std::size_t different = 0;
  for (std::size_t i = 0; i + 4 <= n; i += 4) {
    different += std::memcmp(text_a.data() + data_a + i, text_b.data() + data_b + i, 4) != 0 ? 1 : 0;
  }
  return different == 0 ? "" : fmt::format("{} of {} pixels differ", different, n / 4);
}

template <typename T>
bool SameBytes(const T* a, const T* b, std::size_t n) {
  return n == 0 || std::memcmp(a, b, n * sizeof(T)) == 0;
}

std::string CompareTables(const fs::path& a, const fs::path& b) {
  const calibrate::SolutionSet x = calibrate::ReadCalibrationTable(a), y = calibrate::ReadCalibrationTable(b);
  if (x.kind != y.kind || x.size() != y.size()) return "kinds or axes differ";
  std::size_t different = 0;
  for (std::size_t i = 0; i < x.value.size(); ++i) {
    const bool same = x.flag[i] == y.flag[i] && (x.flag[i] == calibrate::kFlagged ||
                                                 std::memcmp(&x.value[i], &y.value[i], sizeof x.value[i]) == 0);
    different += same ? 0 : 1;
  }
  return different == 0 ? "" : fmt::format("{} of {} solutions differ", different, x.value.size());
}

std::string CompareMeasurementSets(const fs::path& a, const fs::path& b) {
  RunContext context;
  context.threads = AvailableProcessors();
  const auto info_a = convert::DescribeMeasurementSet(a), info_b = convert::DescribeMeasurementSet(b);
  if (info_a.n_rows != info_b.n_rows) return fmt::format("{} rows against {}", info_a.n_rows, info_b.n_rows);
  if (info_a.has_corrected != info_b.has_corrected) return "only one has CORRECTED_DATA";
  for (const char* column : {"DATA", "CORRECTED_DATA"}) {
    if (column == std::string("CORRECTED_DATA") && !info_a.has_corrected) continue;
    const auto x = convert::ReadMeasurementSet(a, {column, -1, {}}, context);
    const auto y = convert::ReadMeasurementSet(b, {column, -1, {}}, context);
    if (x->shape() != y->shape()) return "axes differ";
    if (!SameBytes(x->vis.data(), y->vis.data(), x->vis.size())) return fmt::format("{} differs", column);
    if (!SameBytes(x->flag.data(), y->flag.data(), x->flag.size())) return "flags differ";
    if (!SameBytes(x->weight.data(), y->weight.data(), x->weight.size())) return "weights differ";
    if (!SameBytes(x->uvw_m.data(), y->uvw_m.data(), x->uvw_m.size())) return "uvw differ";
  }
  return "";
}

std::string CompareCasacoreImages(const fs::path& a, const fs::path& b) {
  const image::FitsImage x = image::ReadCasacoreImage(a), y = image::ReadCasacoreImage(b);
  const image::FitsHeader &p = x.header, &q = y.header;
  if (p.geometry.nx != q.geometry.nx || p.geometry.ny != q.geometry.ny || p.geometry.cell_rad != q.geometry.cell_rad ||
      p.centre.ra_rad != q.centre.ra_rad || p.centre.dec_rad != q.centre.dec_rad || p.frequency_hz != q.frequency_hz ||
      p.unit != q.unit) {
    return "axes differ";
  }
  return SameBytes(x.pixels.data(), y.pixels.data(), x.pixels.size()) ? "" : "pixels differ";
}

}  // namespace

std::string CompareProducts(const fs::path& a, const fs::path& b) {
  const std::string name = a.filename().string();
  if (name.find(".fits") != std::string::npos) return CompareFits(a, b);
  if (image::IsCasacoreImage(a)) return CompareCasacoreImages(a, b);
  if (fs::is_directory(a)) return a.extension() == ".ms" ? CompareMeasurementSets(a, b) : CompareTables(a, b);
  return RealOs().ReadFile(a) == RealOs().ReadFile(b) ? "" : "contents differ";
}

}  // namespace contimg::ops
