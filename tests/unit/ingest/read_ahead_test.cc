// Files that are not in the page cache.
#include "ingest/read_ahead.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "config/descriptor.h"
#include "ingest/uvh5_reader.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

namespace fs = std::filesystem;

void DropFromCache(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY));
  ::fsync(file.get());
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}

std::vector<std::shared_ptr<FileBytes>> MakeFiles(const fs::path& folder, int count) {
  std::vector<std::shared_ptr<FileBytes>> files;
  for (int i = 0; i < count; ++i) {
    const fs::path path = folder / std::to_string(i);
    std::ofstream(path) << std::string(20000 + static_cast<std::size_t>(i), static_cast<char>('a' + i));
    DropFromCache(path);
    files.push_back(std::make_shared<FileBytes>(path));
  }
  return files;
}

TEST(ReadAhead, HoldsSomeFilesAtATimeAndGivesTheirBytes) {
  const TemporaryFolder folder("ahead");
  const auto files = MakeFiles(folder.path(), 9);
  if (files[0]->IsCached()) GTEST_SKIP() << "what is in " << folder.path() << " cannot leave memory";
  ReadAhead ahead(files);
  for (std::size_t i = 0; i < files.size(); ++i) {
    ahead.WaitFor(i);
    const auto in_memory = std::count_if(files.begin(), files.end(), [](const auto& f) { return f->InMemory(0); });
    EXPECT_LE(in_memory, ReadAhead::kAtATime);
    EXPECT_NE(files[i]->InMemory(0), nullptr);
    std::string end(10, ' ');
    files[i]->Read(19990 + i, 10, end.data());
    EXPECT_EQ(end, std::string(10, static_cast<char>('a' + i)));
    ahead.Done(i);
    EXPECT_EQ(files[i]->InMemory(0), nullptr);
  }
}

TEST(ReadAhead, LeavesAloneWhatIsNotToBeLoaded) {
  const TemporaryFolder folder("ahead");
  auto files = MakeFiles(folder.path(), 3);
  std::string text(20000, ' ');
  const auto cached = files[1];
  cached->Read(0, text.size(), text.data());
  EXPECT_TRUE(cached->IsCached());
  files[1] = files[2] = nullptr;
  ReadAhead ahead(files);
  ahead.WaitFor(2);
  EXPECT_EQ(cached->InMemory(0), nullptr);
  for (std::size_t i = 0; i < files.size(); ++i) ahead.Done(i);
}

TEST(ReadAhead, EndsWhenNobodyReads) {
  const TemporaryFolder folder("ahead");
  const ReadAhead ahead(MakeFiles(folder.path(), 9));
}

TEST(ReadAhead, GivesTheTileThatTheCacheGives) {
  const TemporaryFolder folder("ahead");
  std::vector<fs::path> paths;
  for (const int subband : {2, 3, 7}) {
    testkit::Uvh5Fixture fixture;
    fixture.subband = subband;
    paths.push_back(fixture.Write(folder.path()));
  }
  RunContext context;
  context.threads = 2;
  const TileInput cached = ReadTile(paths, context);
  for (const fs::path& path : paths) DropFromCache(path);
  std::vector<std::atomic<int>> placed(cached.block->n_times() * paths.size()), times(cached.block->n_times());
  const TileInput cold = ReadTile(paths, context, [&](const TileInput&) {
    TileVisitor visitor;
    visitor.placed = [&](const VisibilityBlock&, std::size_t time, std::size_t first, std::size_t end) {
      for (std::size_t w = first; w < end; ++w) ++placed[time * paths.size() + w];
    };
    visitor.time = [&](VisibilityBlock&, std::size_t time) { ++times[time]; };
    return visitor;
  });
  for (const std::atomic<int>& n : placed) EXPECT_EQ(n, 1);
  for (const std::atomic<int>& n : times) EXPECT_EQ(n, 1);
  const VisibilityBlock &a = *cached.block, &b = *cold.block;
  EXPECT_EQ(0, std::memcmp(a.vis.data(), b.vis.data(), a.vis.size() * sizeof(Visibility)));
  EXPECT_EQ(0, std::memcmp(a.flag.data(), b.flag.data(), a.flag.size()));
  EXPECT_EQ(0, std::memcmp(a.weight.data(), b.weight.data(), a.weight.size() * sizeof(float)));
}

}  // namespace
}  // namespace contimg::ingest
