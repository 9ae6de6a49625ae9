// Groups as if they had gone through the pipeline: files of true proportions (a tile of 6.9 GB is 400 kB here) and the
// records that the daemon makes of them. In place of telescope and workers where what happens to products afterwards is
// tried over months.
//
//   made_up_stream SCRATCH STATE FIRST N SEED [REMOTES]
//
// FIRST: number of the first group since 2025-10-01, 280 a day; N: how many. Each is done when it ends; its content
// follows from SEED and its number.
//
// REMOTES: the files are a hundredth of that, and what is archived of them is on record as if it had verified copies at
// so many remotes: of a hundredth of the objects one is only copied yet, of as many one is lost; and each 500th group
// is given up.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/product_class.h"
#include "config/product_paths.h"
#include "config/time.h"
#include "ops/base/checksum.h"
#include "ops/job/header_check.h"
#include "state/archive_store.h"
#include "state/group_store.h"
#include "state/product_store.h"

namespace contimg::tests {
namespace {

namespace fs = std::filesystem;

constexpr int kSubbands = 16, kGroupsADay = 280;
constexpr std::size_t kSubbandBytes = 8192, kColumnBytes = 225000, kImageBytes = 8192, kPictureBytes = 4096;

class Stream {
 public:
  Stream(const fs::path& scratch, const fs::path& state, std::uint64_t seed, int remotes)
      : paths_(Roots(scratch, state)),
        seed_(seed),
        remotes_(remotes),
        groups_(paths_.Database(StateDatabase::kIngest)),
        products_(paths_.Database(StateDatabase::kProducts)) {}

  void Make(int number) {
    const double start = UtcTime::FromIso8601("2025-10-01T00:00:00").unix_s() + number * kSecondsPerDay / kGroupsADay;
    now_ = start + 400;
    number_ = number;
    stamp_ = UtcTime::FromUnix(start).Iso8601().substr(0, 19);
    start_mjd_ = UtcTime::FromUnix(start).mjd();
    MakeFiles();
    groups_.database().Write([&] { RecordGroup(); });
    classes_.clear();
    products_.database().Write([&] {
      RecordProducts();
      RecordCopies();
    });
  }

 private:
  static DirectoryRoots Roots(const fs::path& scratch, const fs::path& state) {
    return {
        scratch, state, scratch / "incoming", scratch / "ms", scratch / "images", scratch / "tmp", scratch / "staging"};
  }
  bool first_of_day() const { return number_ % kGroupsADay == 0; }
  bool given_up() const { return remotes_ > 0 && number_ % 500 == 499; }
  std::size_t Size(std::size_t bytes) const { return remotes_ > 0 ? bytes / 100 : bytes; }

  // Bytes that follow from seed, group and name; none of them compress.
  void Write(const fs::path& file, std::size_t bytes) {
    if (!fs::exists(file.parent_path())) fs::create_directories(file.parent_path());
    bytes = Size(bytes);
    std::uint64_t x = seed_ * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(number_) * 1000003u +
                      std::hash<std::string>{}(file.filename().string());
    std::string content(bytes, '\0');
    for (char& c : content) {
      x = x * 6364136223846793005u + 1442695040888963407u;
      c = static_cast<char>(x >> 56);
    }
    const fs::path part = file.parent_path() / ("." + file.filename().string() + ".writing");
    std::ofstream(part, std::ios::binary) << content;
    fs::rename(part, file);
    const timespec at{static_cast<time_t>(now_), 0};
    const timespec times[2]{at, at};
    ::utimensat(AT_FDCWD, file.c_str(), times, 0);
  }

  void MakeFiles() {
    for (int i = 0; i < kSubbands; ++i) Write(paths_.Incoming(stamp_, i), kSubbandBytes);
    if (given_up()) return;
    MakeSet(paths_.ScienceMs(stamp_));
    for (const ProductKind kind : kImages) Write(paths_.Image(stamp_, kind), kImageBytes);
    Write(paths_.QaPicture(stamp_), kPictureBytes);
    Write(paths_.QaMetrics(stamp_), 600);
    if (!first_of_day()) return;
    MakeSet(paths_.CalibratorMs(stamp_, CalInterval::k24Hours));
    for (const CalKind kind : kTables) {
      Write(paths_.CalTable(stamp_, CalInterval::k24Hours, kind) / "table.dat", 2000);
    }
  }
  void MakeSet(const fs::path& set) {
    Write(set / "table.dat", 4000);
    Write(set / "table.f0", kColumnBytes);
  }

  void RecordGroup() {
    state::GroupRow group;
    group.id = stamp_;
    group.subbands_expected = kSubbands;
    group.data_start_mjd = start_mjd_;
    group.data_end_mjd = start_mjd_ + 300 / kSecondsPerDay;
    group.first_file_at = now_ - 400;
    std::vector<state::SubbandFileRow> files;
    for (int i = 0; i < kSubbands; ++i) {
      state::SubbandFileRow file;
      file.group_id = stamp_;
      file.subband = i;
      file.path = paths_.Incoming(stamp_, i).string();
      file.size_bytes = static_cast<std::int64_t>(Size(kSubbandBytes));
      file.mtime = now_;
      file.checksum = ops::Fingerprint(file.path);
      file.seen_at = now_;
      files.push_back(std::move(file));
    }
    groups_.AddFiles(group, files, "stream", now_);
    state::TransitionDetails by;
    by.actor = "stream";
    groups_.Transition(stamp_, state::GroupState::kReady, by, now_);
    groups_.Acquire(stamp_, "stream", 60, now_);
    groups_.Transition(stamp_, given_up() ? state::GroupState::kDead : state::GroupState::kDone, by, now_);
  }

  std::int64_t Save(ProductKind kind, const fs::path& path, std::int64_t job,
                    const std::vector<std::int64_t>& parents) {
    state::ProductRow row;
    row.kind = std::string(ToString(kind));
    row.path = path.string();
    row.group_id = stamp_;
    row.start_mjd = start_mjd_;
    row.end_mjd = start_mjd_ + 300 / kSecondsPerDay;
    row.size_bytes = static_cast<std::int64_t>(ops::ProductBytes(path));
    row.checksum = kind == ProductKind::kUvh5 ? ops::Fingerprint(path) : ops::ProductChecksum(path);
    row.job_id = job;
    row.created_at = row.updated_at = now_;
    if (IsImage(kind)) row.qa_grade = "A";
    const std::int64_t id = products_.Save(row, now_);
    products_.SetParents(id, parents);
    classes_[ProductClass(kind, path, paths_.roots())].push_back(
        {id, path.filename().string(), row.size_bytes, kSha, row.checksum});
    return id;
  }

  void RecordCopies() {
    state::ArchiveStore archives(products_.database());
    for (const auto& [name, members] : classes_) {
      if (name == "science_ms" || name == "calibrators" || given_up()) continue;
      const auto fate = std::hash<std::string>{}(fmt::format("{} {} {}", seed_, number_, name)) % 100;
      for (int remote = 0; remote < remotes_; ++remote) {
        state::ArchiveRow row;
        row.remote = fmt::format("remote-{}", remote);
        row.object = fmt::format("{}/{}.tar", name, stamp_);
        row.product_class = std::string(name);
        row.group_id = stamp_;
        row.sha256 = kSha;
        row.manifest_json = fmt::format(R"({{"members": "{}"}})", std::string(300 * members.size(), '-'));
        row.made_at = now_;
        row.copied_at = row.verified_at = row.checked_at = now_;
        row.state = remote > 0 || fate > 1 ? state::ArchiveState::kVerified
                    : fate == 0            ? state::ArchiveState::kCopied
                                           : state::ArchiveState::kLost;
        archives.Save(row, members);
      }
    }
  }

  void RecordProducts() {
    state::JobRow job;
    job.group_id = stamp_;
    job.kind = "group";
    job.host = "here";
    job.program_version = "0";
    job.started_at = now_ - 40;
    job.finished_at = now_;
    job.outcome = "done";
    const std::int64_t id = products_.AddJob(job);
    std::vector<std::int64_t> input;
    for (int i = 0; i < kSubbands; ++i) input.push_back(Save(ProductKind::kUvh5, paths_.Incoming(stamp_, i), id, {}));
    if (given_up()) return;
    if (first_of_day()) {
      const std::int64_t set =
          Save(ProductKind::kCalibratorMs, paths_.CalibratorMs(stamp_, CalInterval::k24Hours), id, input);
      tables_.clear();
      for (const CalKind kind : kTables) {
        tables_.push_back(
            Save(ProductKind::kCalTable, paths_.CalTable(stamp_, CalInterval::k24Hours, kind), id, {set}));
      }
    }
    // Of a run that begins in the middle of a day: its tables are on record.
    const std::string first =
        UtcTime::FromUnix(UtcTime::FromIso8601(stamp_.substr(0, 10) + "T00:00:00").unix_s()).Iso8601().substr(0, 19);
    if (tables_.empty()) {
      for (const CalKind kind : kTables) {
        if (const auto row = products_.FindByPath(paths_.CalTable(first, CalInterval::k24Hours, kind).string())) {
          tables_.push_back(row->id);
        }
      }
    }
    std::vector<std::int64_t> of_set = input;
    of_set.insert(of_set.end(), tables_.begin(), tables_.end());
    const std::int64_t set = Save(ProductKind::kScienceMs, paths_.ScienceMs(stamp_), id, of_set);
    std::vector<std::int64_t> images;
    for (const ProductKind kind : kImages) images.push_back(Save(kind, paths_.Image(stamp_, kind), id, {set}));
    Save(ProductKind::kQaPicture, paths_.QaPicture(stamp_), id, {images[0]});
    Save(ProductKind::kQaMetrics, paths_.QaMetrics(stamp_), id, {images[0]});
  }

  const std::string kSha = std::string(64, '0');
  static constexpr ProductKind kImages[] = {ProductKind::kPbcor, ProductKind::kImage, ProductKind::kResidual,
                                            ProductKind::kModel, ProductKind::kPsf};
  static constexpr CalKind kTables[] = {CalKind::kDelay, CalKind::kBandpass, CalKind::kGain};

  ProductPaths paths_;
  std::uint64_t seed_;
  int remotes_;
  state::GroupStore groups_;
  state::ProductStore products_;
  std::vector<std::int64_t> tables_;
  std::map<std::string_view, std::vector<state::ArchiveMember>> classes_;  // of the group
  int number_ = 0;
  double now_ = 0, start_mjd_ = 0;
  std::string stamp_;
};

}  // namespace
}  // namespace contimg::tests

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    fmt::print(stderr, "usage: made_up_stream SCRATCH STATE FIRST N SEED [REMOTES]\n");
    return 2;
  }
  try {
    contimg::tests::Stream stream(argv[1], argv[2], std::strtoull(argv[5], nullptr, 10),
                                  argc > 6 ? std::atoi(argv[6]) : 0);
    const int first = std::atoi(argv[3]), n = std::atoi(argv[4]);
    for (int i = first; i < first + n; ++i) stream.Make(i);
  } catch (const std::exception& error) {
    fmt::print(stderr, "made_up_stream: {}\n", error.what());
    return 1;
  }
  return 0;
}
