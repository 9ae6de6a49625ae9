#include "ops/records/record_products.h"
#include "tests/temporary_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

class RecordProductsTest : public ::testing::Test {
 protected:
  // Two input files, a table made from them, an image made with it.
  static Job MakeJob() {
    Job job;
    job.group = "2025-10-13T13:28:03";
    job.stages = {"convert", "flag", "solve", "apply", "image"};
    job.inputs = {"/in/a.hdf5", "/in/b.hdf5"};
    job.measurement_set = "/ms/x.ms";
    job.settings.image.size = 512;
    return job;
  }
  static JobReport MakeReport(double started_at) {
    JobReport report;
    report.group = "2025-10-13T13:28:03";
    report.ok = true;
    report.started_at = started_at;
    report.finished_at = started_at + 20;
    report.observation = JobObservation{60961.5, 60961.504, 202.5, 30.5};
    StageReport stage;
    stage.name = "image";
    stage.seconds = 4;
    stage.peak_memory_bytes = 5000;
    report.stages = {stage};
    report.products = {
        {ProductKind::kUvh5, "/in/a.hdf5", 10, "", {}},
        {ProductKind::kUvh5, "/in/b.hdf5", 11, "", {}},
        {ProductKind::kScienceMs, "/ms/x.ms", 100, "m", {"/in/a.hdf5", "/in/b.hdf5"}},
        {ProductKind::kCalTable, "/cal/x.gpcal", 5, "g", {"/ms/x.ms", "/cal/old.bpcal"}},
        {ProductKind::kImage, "/images/x.image.fits", 7, "i", {"/ms/x.ms", "/cal/x.gpcal", "/cal/old.bpcal"}}};
    report.quality = {{"quality", {{"grade", "A"}}}};
    return report;
  }

  TemporaryFolder folder_{"record"};
  const fs::path root_ = folder_.path();
};

TEST_F(RecordProductsTest, LeadsFromTheImageDownToTheFiles) {
  state::ProductStore store(root_ / "products.sqlite3");
  JobRecord record;
  record.checksums["/in/a.hdf5"] = "fingerprint";
  record.sky_model = "name\n";
  const auto id = RecordProducts(store, MakeJob(), MakeReport(100), record);
  const auto image = store.FindByPath("/images/x.image.fits");
  ASSERT_TRUE(image);
  EXPECT_EQ(image->qa_grade, "A");
  EXPECT_EQ(image->job_id, id);
  EXPECT_EQ(image->ra_deg, 202.5);
  EXPECT_EQ(store.Parents(image->id).size(), 3u);
  std::size_t files = 0;
  for (const auto& ancestor : store.Ancestors(image->id)) files += ancestor.product.kind == "uvh5" ? 1 : 0;
  EXPECT_EQ(files, 2u);  // /ms/x.ms is reached on two ways but is one child
  EXPECT_EQ(store.FindByPath("/in/a.hdf5")->checksum, "fingerprint");
  EXPECT_FALSE(store.FindByPath("/in/a.hdf5")->job_id) << "the job did not make its input";
  EXPECT_EQ(store.FindByPath("/cal/old.bpcal")->kind, "caltable") << "a table of another group gets a row";
  const auto job = store.FindJob(id);
  EXPECT_EQ(job->peak_memory_bytes, 5000);
  EXPECT_EQ(job->sky_model, "name\n");
  const Job back = ParseJob(nlohmann::json::parse(job->job_json), "test");
  EXPECT_EQ(ToJson(back), ToJson(MakeJob()));
}

TEST_F(RecordProductsTest, IsTheSameWhenRepeated) {
  state::ProductStore store(root_ / "products.sqlite3");
  const auto id = RecordProducts(store, MakeJob(), MakeReport(100), {});
  EXPECT_EQ(RecordProducts(store, MakeJob(), MakeReport(100), {}), id);
  EXPECT_EQ(store.JobsOf("2025-10-13T13:28:03").size(), 1u);
}

TEST_F(RecordProductsTest, FollowsAProductThatIsMadeAnew) {
  state::ProductStore store(root_ / "products.sqlite3");
  RecordProducts(store, MakeJob(), MakeReport(100), {});
  JobReport again = MakeReport(200);
  again.products.back().parents = {"/ms/x.ms", "/cal/new.gpcal"};
  const auto id = RecordProducts(store, MakeJob(), again, {});
  const auto image = store.FindByPath("/images/x.image.fits");
  EXPECT_EQ(image->job_id, id);
  EXPECT_EQ(store.Parents(image->id).size(), 2u);
}

TEST_F(RecordProductsTest, AFormThatWentWhenTheImageWasMadeInAnotherIsNotMissed) {
  state::ProductStore store(root_ / "products.sqlite3");
  RecordProducts(store, MakeJob(), MakeReport(100), {});
  JobReport again = MakeReport(200);
  again.products.back().path = root_ / "y.image.fits";
  RecordProducts(store, MakeJob(), again, {});
  EXPECT_EQ(store.FindByPath("/images/x.image.fits")->status, "present") << "another image, gone for other reasons";
  again = MakeReport(300);
  again.products.back().path = "/images/x.image.fits.fz";
  RecordProducts(store, MakeJob(), again, {});
  EXPECT_EQ(store.FindByPath("/images/x.image.fits")->status, "removed");
}

}  // namespace
}  // namespace contimg::ops
