#include "ops/web/web.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "config/time.h"
#include "ops/web/html.h"
#include "state/task_store.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kHostile = "x\"><script>alert(1)</script>'; rm -rf $HOME #?&/..%2F";

class WebPages : public testing::Test {
 protected:
  WebPages() {
    web_ = std::make_unique<Web>(folders_.paths);
    web_->AddRoutes(router_);
    SetStatus({{"ready", true}, {"dispatch_allowed", true}, {"health", json::array()}});
  }

  void SetStatus(const nlohmann::ordered_json& status) { web_->view().SetStatus(status, kNow); }
  HttpResponse Get(const std::string& target, const std::string& method = "GET") {
    return router_.Handle(ParseTarget(method, target));
  }
  json GetJson(const std::string& target) {
    const HttpResponse response = Get(target);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body);
  }
  state::GroupStore Groups() { return state::GroupStore(roots_.state / "ingest.sqlite3"); }
  state::ProductStore Products() { return state::ProductStore(roots_.state / "products.sqlite3"); }
  state::CalTableStore Tables() { return state::CalTableStore(roots_.state / "cal_registry.sqlite3"); }

  static state::GroupRow Row(const std::string& id, state::GroupState state) {
    state::GroupRow row;
    row.id = id;
    row.state = state;
    row.subbands_expected = 16;
    row.subbands_present = 16;
    row.attempts = 1;
    row.first_file_at = row.started_at = kNow - 60;
    row.finished_at = kNow - 40;
    return row;
  }
  static state::ProductRow Product(const std::string& kind, const std::string& path, const std::string& group) {
    state::ProductRow row;
    row.kind = kind;
    row.path = path;
    row.group_id = group;
    row.start_mjd = UtcTime::FromUnix(kNow).mjd() - 0.01;
    row.end_mjd = row.start_mjd + 0.003;
    return row;
  }

  static constexpr double kNow = 1760362083 + 400;  // 2025-10-13T13:34:43
  const std::string group_ = "2025-10-13T13:28:03";
  WorkFolders folders_;
  const DirectoryRoots& roots_ = folders_.paths.roots();
  HttpRouter router_;
  std::unique_ptr<Web> web_;
};

TEST_F(WebPages, AnEmptyPipelineSaysWhatItWaitsFor) {
  const HttpResponse page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("Waiting for the first files"));
  EXPECT_THAT(page.body, HasSubstr(roots_.input.string()));
  EXPECT_THAT(page.body, HasSubstr("All is well"));
  EXPECT_EQ(Get("/groups").status, 200);
  EXPECT_EQ(GetJson("/api/v1/groups")["groups"].size(), 0u);
  EXPECT_EQ(GetJson("/api/v1/products")["products"].size(), 0u);
  EXPECT_EQ(GetJson("/api/v1/calibration")["tables"].size(), 0u);
}

nlohmann::ordered_json Finding(const char* severity, const std::string& sentence, const std::string& cure = "") {
  return {{"severity", severity}, {"code", "groups_dead"}, {"sentence", sentence}, {"cure", cure}, {"since", nullptr}};
}

TEST_F(WebPages, HealthIsOneLineWithWhatIsWrongAndItsCure) {
  SetStatus({{"ready", false}, {"health", {Finding("red", "the scratch disk is <full>", "contimg status")}}});
  EXPECT_THAT(Get("/").body, HasSubstr("Not working"));
  EXPECT_THAT(Get("/").body, HasSubstr("the scratch disk is &lt;full&gt;"));
  EXPECT_THAT(Get("/").body, HasSubstr("<code>contimg status</code>"));
  SetStatus({{"ready", true}, {"health", {Finding("amber", "2 groups given up")}}});
  EXPECT_THAT(Get("/").body, HasSubstr("Needs a look"));
  SetStatus({{"ready", false}, {"verdict", "Catching up"}, {"health", json::array()}});
  EXPECT_THAT(Get("/").body, HasSubstr("Catching up"));
  SetStatus({{"ready", true}, {"health", json::array()}});
  EXPECT_THAT(Get("/").body, HasSubstr("All is well"));
  SetStatus(nlohmann::ordered_json::parse(R"({"ready": 3, "health": "no list", "groups": [], "jobs": {"a": 1}})"));
  EXPECT_EQ(Get("/").status, 200);
}

TEST_F(WebPages, FailuresCarryTheirCauseAndTheCommandThatCures) {
  auto groups = Groups();
  state::GroupRow dead = Row(group_, state::GroupState::kDead);
  dead.error_kind = ErrorKind::kBadInput;
  dead.error = "sb03.hdf5: expected 24 integrations, found 23";
  groups.Create(dead, "test", kNow - 30);
  groups.Create(Row("2025-10-13T13:33:12", state::GroupState::kHeld), "test", kNow);
  groups.Create(Row("2025-10-13T13:38:21", state::GroupState::kAwaitingCalibration), "test", kNow);
  const std::string page = Get("/").body;
  EXPECT_THAT(page, HasSubstr("expected 24 integrations, found 23"));
  // Damaged input does not get better by trying again: its record comes first.
  EXPECT_THAT(page, HasSubstr("The same files give the same answer"));
  EXPECT_THAT(page, HasSubstr("<code>contimg queue show 2025-10-13T13:28:03</code>"));
  EXPECT_THAT(page, HasSubstr("<code>contimg queue release 2025-10-13T13:33:12</code>"));
  EXPECT_THAT(page, HasSubstr("<code>contimg cal why 2025-10-13T13:38:21</code>"));
  EXPECT_THAT(Get("/groups/" + group_).body, HasSubstr("<code>contimg queue requeue 2025-10-13T13:28:03</code>"));
}

TEST_F(WebPages, ATaskThatFailedNeedsAHandLikeAGroup) {
  state::TaskStore tasks(roots_.state / "ingest.sqlite3");
  const std::string id = tasks.Create("backup", "2025-10-13T03:00:00", "test", "", kNow - 60).id;
  EXPECT_THAT(Get("/").body, HasSubstr("Nothing failed, nothing is held."));
  tasks.TakeNext("test", state::QueueOrder::kOldest, 10, kNow - 50);
  state::TransitionDetails details;
  details.actor = "test";
  details.error_kind = ErrorKind::kIo;
  details.error = "<disk> is not mounted";
  tasks.Transition(id, state::WorkState::kDead, details, kNow - 40);
  const std::string page = Get("/").body;
  EXPECT_THAT(page, HasSubstr("1 task"));
  EXPECT_THAT(page, HasSubstr("&lt;disk&gt; is not mounted"));
  EXPECT_THAT(page, HasSubstr("<code>contimg queue requeue backup/2025-10-13T03:00:00</code>"));
  const json listed = GetJson("/api/v1/tasks?state=dead")["tasks"];
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["id"], id);
  EXPECT_EQ(listed[0]["error_kind"], "io");
  EXPECT_EQ(GetJson("/api/v1/tasks?kind=mosaic")["tasks"].size(), 0u);
  nlohmann::ordered_json status = {{"ready", true}, {"health", json::array()}};
  status["jobs"].push_back({{"job", id}, {"group", nullptr}, {"stage", "backup"}, {"fraction", 0.5}});
  SetStatus(status);
  EXPECT_THAT(Get("/").body, HasSubstr("progress of backup/2025-10-13T03:00:00"));
}

// An image of uncalibrated data says so wherever it is shown, and one reason stands there once.
TEST_F(WebPages, UncalibratedImagesSaySo) {
  Groups().Create(Row(group_, state::GroupState::kDone), "test", kNow - 30);
  EXPECT_THAT(Get("/groups/" + group_).body, Not(HasSubstr("uncalibrated")));
  {
    auto tables = Tables();
    for (const char* kind : {"K", "BP", "G"}) {
      tables.RecordChoice({group_, kind, std::nullopt, "no table serves this time", kNow});
    }
  }
  const std::string page = Get("/groups/" + group_).body, reason = "no table serves this time";
  EXPECT_THAT(page, HasSubstr("<span class=\"kind\">uncalibrated</span>"));
  EXPECT_EQ(page.find(reason), page.rfind(reason));
  EXPECT_THAT(page, HasSubstr("<td>BP, G, K</td>"));
  EXPECT_THAT(Get("/groups").body, HasSubstr("<span class=\"kind\">uncalibrated</span>"));
  Products().Save(Product("qa_picture", (roots_.images / "a.png").string(), group_), kNow);
  EXPECT_THAT(Get("/").body, HasSubstr("<dt>calibration</dt><dd>none</dd>"));
  SetStatus({{"ready", true},
             {"health", json::array()},
             {"calibration", {{"goes_on", "images go out uncalibrated, as calibrate.policy says: no BP table"}}}});
  EXPECT_THAT(Get("/").body, HasSubstr("images go out uncalibrated, as calibrate.policy says: no BP table"));
}

// What the sentence promises is there: the log and the command that repeats the job.
TEST_F(WebPages, AGroupThatWasGivenUpNamesItsLogAndHowItsJobIsRepeated) {
  state::GroupRow dead = Row(group_, state::GroupState::kDead);
  dead.error_kind = ErrorKind::kCrash;
  dead.error = "the worker died of signal 9";
  Groups().Create(dead, "test", kNow - 30);
  const fs::path log = folders_.paths.FailedLog(group_), folder = folders_.paths.Jobs(group_);
  EXPECT_THAT(Get("/groups/" + group_).body, Not(HasSubstr("cat ")));
  fs::create_directories(log.parent_path());
  fs::create_directories(folder);
  std::ofstream(log) << "last words\n";
  std::ofstream(folder / "job.json") << "{}\n";
  const std::string page = Get("/groups/" + group_).body;
  EXPECT_THAT(page, HasSubstr("<code>cat " + log.string() + "</code>"));
  EXPECT_THAT(page, HasSubstr("<code>contimg worker " + (folder / "job.json").string() + "</code>"));
}

TEST_F(WebPages, OneCauseIsSaidOnce) {
  auto groups = Groups();
  for (int i = 0; i < 27; ++i) {
    state::GroupRow row = Row(UtcTime::FromUnix(kNow - 309.0 * i).Iso8601(), state::GroupState::kDead);
    row.error_kind = ErrorKind::kIo;
    row.error = fmt::format("/scratch/ms/{}.ms: cannot write: no space left, {} bytes free", row.id, 4096 + i);
    groups.Create(row, "test", kNow);
  }
  const std::string page = Get("/").body;
  EXPECT_THAT(page, HasSubstr("<b>27 groups:</b>"));
  EXPECT_THAT(page, HasSubstr("and 19 more"));
  EXPECT_THAT(page, HasSubstr("<code>contimg queue requeue --state dead --error-kind io</code>"));
  EXPECT_EQ(page.find("cannot write"), page.rfind("cannot write"));
}

TEST_F(WebPages, TheTimeAxisFitsTheDataAndSaysItsDate) {
  auto groups = Groups();
  for (int i = 0; i < 4; ++i) {
    groups.Create(Row(UtcTime::FromUnix(kNow - 309.0 * (i + 1)).Iso8601(), state::GroupState::kDone), "test", kNow);
  }
  const std::string page = Get("/").body;
  EXPECT_THAT(page, HasSubstr("href=\"/?span=1h\" aria-current=\"true\""));
  EXPECT_THAT(page, HasSubstr("2025-10-13 12:34 to 13:39 UTC"));
  EXPECT_THAT(Get("/?span=7d").body, HasSubstr("to 2025-10-14"));
  groups.Create(Row(UtcTime::FromUnix(kNow - 5 * 3600).Iso8601(), state::GroupState::kDone), "test", kNow);
  EXPECT_THAT(Get("/").body, HasSubstr("href=\"/?span=6h\" aria-current=\"true\""));
  // Another span keeps the end that was chosen.
  EXPECT_THAT(Get("/?span=24h&end=2025-10-13T12:00:00").body, HasSubstr("/?span=1h&amp;end=2025-10-13T12:00:00"));
}

TEST_F(WebPages, GroupsAreFoundByHowTheirIdsBegin) {
  auto groups = Groups();
  for (const char* id : {"2025-10-13T13:28:03", "2025-10-13T13:33:12", "2025-10-13T14:02:00", "2025-10-14T13:00:00"}) {
    groups.Create(Row(id, state::GroupState::kDone), "test", kNow);
  }
  EXPECT_EQ(GetJson("/api/v1/groups?q=2025-10-13T13")["groups"].size(), 2u);
  EXPECT_EQ(GetJson("/api/v1/groups?q=2025-10-13")["groups"].size(), 3u);
  EXPECT_EQ(GetJson("/api/v1/groups?q=2025-10-13T14:02:00")["groups"].size(), 1u);
  EXPECT_THAT(Get("/groups?q=2025-10-14").body, HasSubstr("value=\"2025-10-14\""));
}

TEST_F(WebPages, ATileShowsItsImageQualityAndLineage) {
  Groups().Create(Row(group_, state::GroupState::kDone), "test", kNow);
  auto products = Products();
  const auto raw = products.Save(Product("uvh5", "/in/sb00.hdf5", group_), kNow);
  const auto ms = products.Save(Product("science_ms", "/ms/a.ms", group_), kNow);
  const auto image = products.Save(Product("image.pbcor", "/images/a.image.pbcor.fits", group_), kNow);
  state::ProductRow picture = Product("qa_picture", (roots_.images / "qa/a b.qa.png").string(), group_);
  picture.qa_grade = "B";
  const auto qa = products.Save(picture, kNow);
  state::ProductRow metrics = Product("qa_metrics", (roots_.images / "qa/a.metrics.json").string(), group_);
  metrics.qa_json = R"({"quality": {"rms_jy": 0.00041, "rms_over_thermal": 1.07, "dynamic_range": 1234.5,
                        "local_rms_map_jy": [[0.00031, 0.00042123456789012345], [0.0004, 0.0005]],
                        "gates": [{"name": "rms_over_thermal", "title": "rms / thermal noise", "unit": "",
                                   "bound": "at_most", "value": 1.87, "limit": 1.5, "passed": false, "grade": "B",
                                   "explanation": "more than noise is left"}]},
                        "spectra": [{"ra_deg": 0.36670, "dec_deg": 16.20110, "apparent_flux_jy": 1.5,
                                     "spectral_index": -0.8123, "error": 0.0456}, 7, {"ra_deg": "x"}]})";
  products.Save(metrics, kNow);
  products.Link(ms, {raw});
  products.Link(image, {ms});
  products.Link(qa, {image});
  for (const std::string& page : {Get("/").body, Get("/groups/" + group_).body}) {
    EXPECT_THAT(page, HasSubstr("410 µJy"));
    EXPECT_THAT(page, HasSubstr(">B</span>"));
  }
  EXPECT_THAT(Get("/").body, HasSubstr("/thumbnails/qa/a%20b.qa.png?v="));
  const std::string page = Get("/groups/" + group_).body;
  EXPECT_THAT(page, HasSubstr("/images/qa/a%20b.qa.png?v="));
  EXPECT_THAT(page, HasSubstr("rms / thermal noise"));
  EXPECT_THAT(page, HasSubstr("≤ 1.5"));
  EXPECT_THAT(page, HasSubstr("missed: B"));
  EXPECT_THAT(page, HasSubstr("more than noise is left"));
  EXPECT_THAT(page, HasSubstr("noise over the field, 310 µJy/beam to 500 µJy/beam"));
  EXPECT_THAT(page, Not(HasSubstr("0.000421")));
  EXPECT_THAT(page, HasSubstr("<details id=\"figures\"><summary>"));  // folded
  EXPECT_THAT(page, HasSubstr("<a href=\"/sources?q=00:01:28.01%20%2B16:12:04.0\">00:01:28.01 +16:12:04.0</a></th>"
                              "<td>1.50 Jy</td><td>-0.81 ± 0.05</td>"));
  EXPECT_THAT(page, HasSubstr("sb00.hdf5"));
  const json product = GetJson("/api/v1/products/" + std::to_string(qa));
  EXPECT_EQ(product["lineage"].size(), 3u);
  EXPECT_EQ(product["lineage"][2]["kind"], "uvh5");
  EXPECT_EQ(GetJson("/api/v1/products?kind=qa_metrics")["products"][0]["qa"]["quality"]["rms_jy"], 0.00041);
  EXPECT_EQ(GetJson("/api/v1/groups/" + group_)["products"].size(), 5u);
}

TEST_F(WebPages, CalibrationShowsHowLongItLasts) {
  Groups().Create(Row(group_, state::GroupState::kDone), "test", kNow);
  auto tables = Tables();
  state::CalTableRow row;
  row.kind = "BP";
  row.interval = "24h";
  row.path = "/cal/a.bpcal";
  row.source_group = group_;
  row.model = kHostile;
  row.valid_from_mjd = UtcTime::FromUnix(kNow - 3600).mjd();
  row.valid_to_mjd = UtcTime::FromUnix(kNow + 7200).mjd();
  const auto id = tables.Register(row, kNow);
  tables.RecordChoice({group_, "BP", id, "the newest that covers it", kNow});
  const std::string page = Get("/").body;
  EXPECT_THAT(page, HasSubstr("2 h left"));
  EXPECT_THAT(page, HasSubstr("none active"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(Get("/groups/" + group_).body, HasSubstr("the newest that covers it"));
  EXPECT_EQ(GetJson("/api/v1/calibration?kind=BP&at=2025-10-13T13:30:00")["tables"].size(), 1u);
  EXPECT_EQ(GetJson("/api/v1/calibration?kind=BP&at=2025-10-12")["tables"].size(), 0u);
}

TEST_F(WebPages, HostileNamesStayText) {
  auto groups = Groups();
  state::GroupRow row = Row(kHostile, state::GroupState::kDead);
  row.error_kind = ErrorKind::kIo;
  row.error = kHostile;
  row.timings_json = json{{kHostile, 3.0}, {"convert", {{"seconds", 1.0}}}}.dump();
  row.stage = kHostile;
  groups.Create(row, kHostile, kNow);
  state::SubbandFileRow file;
  file.group_id = kHostile;
  file.path = kHostile;
  file.status = "present";
  groups.AddFiles(row, {file}, kHostile, kNow);
  auto products = Products();
  state::ProductRow picture = Product("qa_picture", (roots_.images / kHostile).string(), kHostile);
  picture.qa_json = json{{kHostile, kHostile}}.dump();
  picture.qa_grade = kHostile;
  picture.checksum = kHostile;
  const auto child = products.Save(picture, kNow);
  products.Link(child, {products.Save(Product(kHostile, kHostile, ""), kNow)});
  state::JobRow job;
  job.group_id = job.kind = job.settings_hash = job.program_version = job.host = job.command = job.outcome = job.error =
      kHostile;
  job.settings_json = json{{kHostile, kHostile}}.dump();
  products.AddJob(job);
  SetStatus({{"ready", true},
             {"health", {Finding("amber", kHostile, kHostile)}},
             {"jobs", {{{"group", kHostile}, {"stage", kHostile}, {"fraction", 7}}}},
             {"directories", {{kHostile, {{"bytes", 1}}}}}});
  const std::string address = "/groups/" + UrlPart(kHostile);
  for (const std::string& target : {std::string("/"), std::string("/groups"), address}) {
    const HttpResponse page = Get(target);
    EXPECT_EQ(page.status, 200) << target;
    EXPECT_THAT(page.body, Not(HasSubstr("<script>alert"))) << target;
    EXPECT_THAT(page.body, HasSubstr("&lt;script&gt;alert(1)")) << target;
    EXPECT_THAT(page.body, Not(HasSubstr("cannot be shown"))) << target;
  }
  EXPECT_THAT(Get(address).body, HasSubstr("contimg queue requeue &#39;x&quot;"));
  EXPECT_EQ(GetJson("/api/v1/groups/" + UrlPart(kHostile))["error"], kHostile);
  EXPECT_EQ(GetJson("/api/v1/groups")["groups"][0]["id"], kHostile);
}

TEST_F(WebPages, ListsGoOnPageByPage) {
  auto groups = Groups();
  for (int i = 0; i < 205; ++i) {
    groups.Create(Row(UtcTime::FromUnix(kNow - 309.0 * i).Iso8601(),
                      i % 5 == 0 ? state::GroupState::kHeld : state::GroupState::kDone),
                  "test", kNow);
  }
  std::string body = Get("/groups?state=done,held").body;
  EXPECT_THAT(body, HasSubstr(">older</a>"));
  EXPECT_THAT(body, Not(HasSubstr(">newest</a>")));
  std::size_t n = 0;
  std::string next = "/api/v1/groups?state=held&limit=20";
  for (int pages = 0; pages < 4 && !next.empty(); ++pages) {
    const json page = GetJson(next);
    n += page["groups"].size();
    next = page["next_after"].is_null()
               ? ""
               : "/api/v1/groups?state=held&limit=20&after=" + page["next_after"].get<std::string>();
  }
  EXPECT_EQ(n, 41u);
  for (const char* span : {"1h", "6h", "24h", "7d", "30d"}) {
    EXPECT_THAT(Get(std::string("/?span=") + span).body, HasSubstr("class=\"bar done\"")) << span;
  }
  EXPECT_THAT(Get("/?end=2020-01-01T00:00:00").body, Not(HasSubstr("class=\"bar done\"")));
}

TEST_F(WebPages, RefusesWhatMeansNothing) {
  EXPECT_EQ(Get("/?span=3w").status, 400);
  EXPECT_EQ(Get("/?end=yesterday").status, 200);
  EXPECT_EQ(Get("/?end=some+day").status, 400);
  EXPECT_EQ(Get("/groups?state=lost").status, 400);
  EXPECT_EQ(Get("/api/v1/groups?limit=-1").status, 400);
  EXPECT_EQ(Get("/api/v1/groups?limit=99999999999").status, 400);
  EXPECT_EQ(Get("/api/v1/groups?error_kind=odd").status, 400);
  EXPECT_EQ(Get("/api/v1/products?from=soon").status, 400);
  EXPECT_EQ(Get("/api/v1/products?kind=images").status, 400);
  EXPECT_EQ(Get("/api/v1/products?kind=band.image").status, 200);
  EXPECT_EQ(Get("/api/v1/calibration?kind=B").status, 400);
  EXPECT_EQ(Get("/api/v1/calibration?kind=BP").status, 200);
  EXPECT_EQ(Get("/groups/2025-01-01T00:00:00").status, 404);
  EXPECT_EQ(Get("/groups/").body, Get("/groups").body);
  for (const char* mistyped :
       {"/?spam=1h", "/groups?sate=dead", "/groups/2025-10-13T13:28:03?x=1", "/api/v1/groups?sate=dead",
        "/api/v1/tasks?status=dead", "/api/v1/products?kinds=image", "/api/v1/products/1?x=1",
        "/api/v1/calibration?table=1", "/images/a.png?w=1", "/groups?after=nosuch", "/api/v1/groups?after=nosuch",
        "/api/v1/products?status=gone", "/api/v1/calibration?status=valid"}) {
    EXPECT_EQ(Get(mistyped).status, 400) << mistyped;
  }
  // In a browser that is a page.
  const HttpResponse page = Get("/?span=3y");
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("expected 1h, 6h, 24h, 7d or 30d and found &#39;3y&#39;"));
  EXPECT_EQ(Get("/api/v1/groups?limit=x").content_type, "application/json");
  EXPECT_EQ(Get("/api/v1/products/7x").status, 404);
  EXPECT_EQ(Get("/static/../page.css").status, 404);
  EXPECT_EQ(Get("/images/../../state/ingest.sqlite3").status, 404);
  EXPECT_EQ(Get("/images/%2e%2e/secret.png").status, 404);
  EXPECT_EQ(Get("/", "POST").status, 405);
  EXPECT_EQ(Get("/groups/x", "DELETE").status, 405);
  EXPECT_EQ(Get("/", "HEAD").status, 200);
}

TEST_F(WebPages, EveryAddressIsDocumented) {
  std::ifstream file(std::string(CONTIMG_SOURCE_DIR) + "/docs/operations/http-api.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(router_.routes().empty());
  for (const HttpRoute& route : router_.routes()) {
    EXPECT_THAT(page, HasSubstr("| `" + route.path + "` |"));
    EXPECT_FALSE(route.help.empty());
  }
}

TEST_F(WebPages, NothingIsFetchedFromElsewhere) {
  Groups().Create(Row(group_, state::GroupState::kDone), "test", kNow);
  for (const std::string& target : {std::string("/"), std::string("/groups"), "/groups/" + group_,
                                    std::string("/static/page.css"), std::string("/static/page.js")}) {
    const HttpResponse response = Get(target);
    EXPECT_EQ(response.status, 200) << target;
    EXPECT_THAT(response.body, Not(HasSubstr("http://"))) << target;
    EXPECT_THAT(response.body, Not(HasSubstr("https://"))) << target;
    EXPECT_THAT(response.body, Not(HasSubstr("style=\""))) << target;  // the content security policy forbids it
    EXPECT_THAT(response.body, Not(HasSubstr("url("))) << target;
  }
  for (const char* icon : {"good", "warning", "bad", "unknown"}) {
    EXPECT_EQ(Get(std::string("/static/") + icon + ".svg").content_type, "image/svg+xml");
  }
}

TEST_F(WebPages, ADamagedDatabaseCostsItsPartOfThePageOnly) {
  Groups().Create(Row(group_, state::GroupState::kDone), "test", kNow);
  std::ofstream(roots_.state / "products.sqlite3")
      << "this is no database, whatever its name says, and rather long for one";
  const HttpResponse page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("This part cannot be shown"));
  EXPECT_THAT(page.body, HasSubstr("class=\"bar done\""));
  EXPECT_EQ(Get("/groups/" + group_).status, 200);
  EXPECT_EQ(Get("/api/v1/products").status, 500);
}

}  // namespace
}  // namespace contimg::ops
