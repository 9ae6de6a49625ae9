#include "ops/mosaics/gate_marks.h"

#include <string_view>

#include "config/product_kind.h"
#include "ops/lightcurves/light_curves.h"
#include "state/light_curve_store.h"

namespace contimg::ops {
namespace {

// The word of mosaic/gate/tile_gate.h for fluxes that are off; the service has no part of what makes mosaics.
constexpr std::string_view kScaleRefusal = "scale";

QualityFlags FlagsOf(const std::string& refusal) { return refusal == kScaleRefusal ? quality::kBadTile.mask() : 0; }

// The tile's images as they are on record now; of both forms, when there are two.
std::vector<state::ProductRow> ImagesOf(state::ProductStore& products, const std::string& group) {
  state::ProductQuery query;
  query.kind = ToString(ProductKind::kImage);
  query.group_id = group;
  return products.List(query);
}

}  // namespace

QualityFlags GateFlags(const std::vector<state::MosaicTileRow>& judgements, const std::string& checksum) {
  int most = -1;
  QualityFlags flags = 0;
  for (const state::MosaicTileRow& each : judgements) {
    if (each.checksum != checksum || each.n_references < most) continue;
    flags = each.n_references == most ? flags | FlagsOf(each.refusal) : FlagsOf(each.refusal);
    most = each.n_references;
  }
  return flags;
}

std::vector<std::string> MarkTiles(state::ProductStore& products, state::Database& sources,
                                   const std::vector<std::string>& groups) {
  std::vector<std::string> changed;
  state::MosaicStore mosaics(products.database());
  LightCurveRecorder recorder(sources);
  for (const std::string& group : groups) {
    const auto judgements = mosaics.JudgementsOf(group);
    if (judgements.empty()) continue;
    QualityFlags wanted = 0;
    for (const state::ProductRow& image : ImagesOf(products, group)) {
      wanted |= GateFlags(judgements, image.checksum);
      if (image.qa_grade == "F") wanted |= quality::kBadTile.mask();
    }
    if (recorder.SetFlags(group, quality::kBadTile.mask(), wanted)) changed.push_back(group);
  }
  return changed;
}

}  // namespace contimg::ops
