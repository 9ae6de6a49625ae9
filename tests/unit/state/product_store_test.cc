#include "state/product_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <string>

#include "config/error.h"
#include "state/schema/schemas.h"
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

TEST(ProductStore, TellsTheNewestDataOfEachKind) {
  TemporaryDatabase place;
  ProductStore store(place.path());
  EXPECT_TRUE(store.NewestData().empty());
  int n = 0;
  for (const auto& [kind, start] : {std::pair{"image", 60001.5},
                                    {"image", 60003.25},
                                    {"image", 60002.0},
                                    {"caltable", 60000.5},
                                    {"uvh5", 60009.0}}) {
    ProductRow row = Product(kind, "/p" + std::to_string(n++));
    row.start_mjd = start;
    row.end_mjd = start + 0.1;
    store.Save(row, 5);
  }
  EXPECT_EQ(store.NewestData(),
            (std::map<std::string, double>{{"caltable", 60000.5}, {"image", 60003.25}, {"uvh5", 60009.0}}));
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
  job.finished_at = 20;
  job.outcome = "done";
  job.peak_memory_bytes = 123;
  job.id = store.AddJob(job);
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
}

TEST(ProductStore, Sha256StaysWithItsContent) {
  TemporaryDatabase place;
  ProductStore store(place.path());
  ProductRow row = Product("image", "/i");
  row.checksum = "0123456789abcdef";
  const auto id = store.Save(row, 1);
  EXPECT_FALSE(store.Find(id)->sha256);
  const std::string sha(64, 'a');
  store.SetSha256(id, sha, 2);
  store.Save(row, 3);  // recorded again as it was
  EXPECT_EQ(store.Find(id)->sha256, sha);
  row.checksum = "fedcba9876543210";
  store.Save(row, 4);
  EXPECT_FALSE(store.Find(id)->sha256) << "of another content";
  EXPECT_THROW(store.SetSha256(id, "short", 5), Error);
  EXPECT_THROW(store.SetSha256(99, sha, 5), Error);
}

TEST(ProductStore, ImagesOfEarlierVersionsGetTheirOwnKinds) {
  TemporaryDatabase place;
  Schema before = ProductsSchema();
  before.migrations.resize(3);
  {
    Database old(place.path(), before);
    old.handle().exec(R"(INSERT INTO products (kind, path, group_id, start_mjd, end_mjd, size_bytes, checksum, qa_json,
        qa_grade, status, archive_path, created_at, updated_at)
        SELECT column1, column2, 'g', 1, 2, 3, '', '{"x": 1}', 'A', 'present', '', 1, 1 FROM (VALUES
        ('image', '/a/g.image.fits'), ('image', '/a/g.band01.image.fits'), ('image', '/a/g.band00.image.fits.fz'),
        ('image_other', '/a/g.band02.image'), ('image_other', '/a/g.alpha.fits'),
        ('image_other', '/a/g.alpha.error.fits.fz'), ('image_other', '/a/strange.fits'), ('psf', '/a/g.psf.fits')))");
  }
  ProductStore store(place.path());
  const auto kind = [&](const char* path) { return store.FindByPath(path)->kind; };
  EXPECT_EQ(kind("/a/g.image.fits"), "image");
  EXPECT_EQ(store.FindByPath("/a/g.image.fits")->qa_grade, "A");
  for (const char* path : {"/a/g.band01.image.fits", "/a/g.band00.image.fits.fz", "/a/g.band02.image"}) {
    EXPECT_EQ(kind(path), "band.image") << path;
    EXPECT_EQ(store.FindByPath(path)->qa_grade, "") << path;
  }
  EXPECT_EQ(kind("/a/g.alpha.fits"), "alpha");
  EXPECT_EQ(kind("/a/g.alpha.error.fits.fz"), "alpha.error");
  EXPECT_EQ(kind("/a/strange.fits"), "image_other");
  EXPECT_EQ(kind("/a/g.psf.fits"), "psf");
}

}  // namespace
}  // namespace contimg::state
