#include "ops/daemon/quarantine.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "config/time.h"
#include "ops/base/log.h"
#include "ops/daemon/actors.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

}  // namespace

fs::path MoveAside(Os& os, const fs::path& from, const fs::path& directory) {
  os.CreateDirectories(directory);
  for (int number = 0;; ++number) {
    fs::path to =
        directory / (number == 0 ? from.filename().string() : fmt::format("{}.{}", from.filename().string(), number));
    try {
      Publish(os, from, to);
      return to;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kUsage && number <= 1000) continue;  // the name is taken
      // What failed may have come after the move (a sync), or between a copy and the removal of the original.
      if (error.kind() == ErrorKind::kUsage || !Exists(to, os)) throw;
      if (!Exists(from, os)) return to;
      os.RemoveAll(to);
      throw;
    }
  }
}

void Quarantine(const IngestContext& context, const fs::path& path, const std::string& reason,
                std::function<void(bool moved)> ended) {
  struct Moved {
    fs::path to;
    std::string unexplained;  // why the reason is not beside it
  };
  const auto moved = std::make_shared<Moved>();
  const double now = context.clock.Unix();
  const fs::path directory = context.paths.Quarantine() / UtcTime::FromUnix(now).Date();
  const std::string text =
      fmt::format("{}\nfrom {}\nat {}Z\n", reason, path.string(), UtcTime::FromUnix(now).Iso8601());
  context.background.Run(
      [moved, &os = context.os, path, directory, text] {
        moved->to = MoveAside(os, path, directory);
        try {
          WriteFileAtomically(os, moved->to.string() + ".reason", text);
        } catch (const Error& error) {
          moved->unexplained = error.what();
        }
      },
      [&metrics = context.metrics, &writes = context.writes, ended = std::move(ended), moved, path, reason,
       now](const std::exception_ptr& failure) {
        const std::string name = path.filename().string();
        ended(failure == nullptr);
        try {
          if (failure) std::rethrow_exception(failure);
        } catch (const Error& error) {
          Log(LogLevel::kError, "", fmt::format("{}: cannot be moved to quarantine: {}", name, error.what()));
          return;
        }
        metrics.FileRejected("unreadable");
        Log(LogLevel::kError, "", fmt::format("{}: unreadable, moved to {}: {}", name, moved->to.string(), reason));
        if (!moved->unexplained.empty()) {
          Log(LogLevel::kWarning, "",
              fmt::format("{}: the reason is not beside it: {}", moved->to.string(), moved->unexplained));
        }
        state::EventRow event;
        event.at = now;
        event.kind = "move";
        event.actor = kWatcher;
        event.detail = fmt::format("{} moved to {}: {}", path.string(), moved->to.string(), reason);
        writes.Add(name + ": quarantined", [event](state::GroupStore& store) { store.AddEvent(event); });
      });
}

}  // namespace contimg::ops
