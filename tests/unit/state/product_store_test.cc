#include "state/product_store.h"

#include <gtest/gtest.h>

#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

ProductRow Product(const std::string& kind, const std::string& path, double start = 100) {
  ProductRow row;
  row.kind = kind;
  row.path = path;
  row.group_id = "g1";
  row.start_mjd = start;
  row.end_mjd = start + 0.1;
  return row;
}

TEST(ProductStore, SavesAndReplacesByPath) {
  TemporaryDatabase place;
  ProductStore store(place.path());
  ProductRow row = Product("image", "/x.image.fits");
  row.ra_deg = 12.5;
  const auto id = store.Save(row, 5);
  row.size_bytes = 77;
  EXPECT_EQ(store.Save(row, 6), id);
  const auto found = store.FindByPath("/x.image.fits");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, id);
  EXPECT_EQ(found->size_bytes, 77);
  EXPECT_EQ(found->created_at, 5);
  EXPECT_EQ(found->updated_at, 6);
  EXPECT_EQ(found->ra_deg, 12.5);
  EXPECT_FALSE(found->dec_deg);
  store.SetStatus(id, "archived", "/archive/x", 7);
  EXPECT_EQ(store.Find(id)->archive_path, "/archive/x");
  EXPECT_THROW(store.SetStatus(99, "removed", "", 8), Error);
  EXPECT_THROW(store.SetStatus(id, "lost", "", 8), Error);
}

TEST(ProductStore, ForgetsTheParentsOfAProductMadeAnew) {
  TemporaryDatabase place;
  ProductStore store(place.path());
  const auto a = store.Save(Product("caltable", "/a"), 1), b = store.Save(Product("caltable", "/b"), 1);
  const auto image = store.Save(Product("image", "/i"), 1);
  store.SetParents(image, {a});
  store.SetParents(image, {b});
  ASSERT_EQ(store.Parents(image).size(), 1u);
  EXPECT_EQ(store.Parents(image)[0].path, "/b");
  EXPECT_THROW(store.SetParents(b, {image}), Error);
}

TEST(ProductStore, ListsBySelection) {
  TemporaryDatabase place;
  ProductStore store(place.path());
  for (int i = 0; i < 6; ++i) {
    store.Save(Product(i % 2 == 0 ? "ms" : "image", "/p" + std::to_string(i), 100 + i), 1);
  }
  ProductQuery query;
  EXPECT_EQ(store.List(query).size(), 6u);
  EXPECT_EQ(store.List(query).front().path, "/p5");
  query.kind = "ms";
  query.from_mjd = 101;
  EXPECT_EQ(store.List(query).size(), 2u);
  query.before_mjd = 104;
  ASSERT_EQ(store.List(query).size(), 1u);
  EXPECT_EQ(store.List(query)[0].path, "/p2");
  query = {};
  query.newest_first = false;
  query.limit = 1;
  query.group_id = "g1";
  query.status = "present";
  EXPECT_EQ(store.List(query).at(0).path, "/p0");
}

TEST(ProductStore, FollowsLineageAndRefusesCircles) {
  TemporaryDatabase place;
  ProductStore store(place.path());
  const auto raw1 = store.Save(Product("uvh5", "/raw1"), 1), raw2 = store.Save(Product("uvh5", "/raw2"), 1);
  const auto ms = store.Save(Product("ms", "/ms"), 1), table = store.Save(Product("caltable", "/t"), 1);
  const auto image = store.Save(Product("image", "/i"), 1);
  store.Link(ms, {raw1, raw2});
  store.Link(ms, {raw1});
  store.Link(table, {ms});
  store.Link(image, {ms, table});
  const auto ancestors = store.Ancestors(image);
  ASSERT_EQ(ancestors.size(), 5u);  // ms and table; ms again below table; raw1 and raw2
  EXPECT_EQ(ancestors[0].depth, 1);
  EXPECT_EQ(ancestors[0].child_id, image);
  EXPECT_EQ(store.Parents(ms).size(), 2u);
  EXPECT_EQ(store.Children(ms).size(), 2u);
  EXPECT_THROW(store.Link(raw1, {image}), Error);
  EXPECT_THROW(store.Link(ms, {ms}), Error);
  EXPECT_THROW(store.Link(ms, {999}), Error);
  EXPECT_TRUE(store.Parents(raw1).empty());
}

TEST(ProductStore, RecordsJobs) {
  TemporaryDatabase place;
  ProductStore store(place.path());
  JobRow job;
  job.group_id = "g1";
  job.kind = "group";
  job.settings_hash = "0123456789abcdef";
  job.job_json = R"({"group": "g1"})";
  job.sky_model = "name,ra_deg\n";
  job.instruction_set = "avx2 fma";
  job.started_at = 10;
  job.id = store.AddJob(job);
  job.finished_at = 20;
  job.outcome = "done";
  job.peak_memory_bytes = 123;
  store.FinishJob(job);
  const auto found = store.FindJob(job.id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->settings_hash, job.settings_hash);
  EXPECT_EQ(found->job_json, job.job_json);
  EXPECT_EQ(found->sky_model, job.sky_model);
  EXPECT_EQ(found->instruction_set, job.instruction_set);
  EXPECT_EQ(found->outcome, "done");
  EXPECT_EQ(found->peak_memory_bytes, 123);
  EXPECT_EQ(store.JobsOf("g1").size(), 1u);
  ProductRow product = Product("ms", "/ms");
  product.job_id = job.id;
  store.Save(product, 1);
  product.path = "/other";
  product.job_id = 99;
  EXPECT_THROW(store.Save(product, 1), Error);
  job.id = 99;
  EXPECT_THROW(store.FinishJob(job), Error);
}

}  // namespace
}  // namespace contimg::state
