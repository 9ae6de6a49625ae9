#include "ops/daemon/failed_log.h"

#include <fmt/format.h>

#include "config/text.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/base/version.h"
#include "ops/base/words.h"

namespace contimg::ops {

std::string FormatFailedLog(const FailedRecord& record) {
  std::string text =
      fmt::format("group        {}\ngiven up at  {} after {}\ncause        {} ({})\n", record.group,
                  UtcTime::Now().Stamp(), Counted(record.attempts, "attempt"), record.message, ToString(record.kind));
  if (!record.command.empty()) {
    if (!record.stage.empty()) text += fmt::format("stage        {}\n", record.stage);
    text += record.signal != 0 ? fmt::format("ended by     signal {}\n", record.signal)
                               : fmt::format("ended by     exit status {}\n", record.exit_status);
    text += fmt::format("took         {:.1f} s, {:.1f} s of processor time\n", record.wall_s, record.cpu_s);
    text += fmt::format("peak memory  {}\n", Bytes(static_cast<double>(record.peak_memory_bytes)));
    text += fmt::format("repeat with  {}\n", record.command);
  }
  if (!record.left.empty()) text += fmt::format("left behind  {}\n", record.left);
  // A group that is too small is not taken again by hand: it goes on when its files come.
  text += record.kind == ErrorKind::kIncomplete
              ? std::string("what next    nothing: it goes on by itself when the missing subbands arrive\n")
              : fmt::format("try again    contimg queue requeue {}\n", record.group);
  text += fmt::format("program      contimg {}\n", kVersion);
  for (const std::string& input : record.inputs) text += fmt::format("input        {}\n", input);
  if (!record.last_output.empty()) text += fmt::format("\nlast output:\n{}\n", record.last_output);
  return text;
}

void WriteFailedLog(Os& os, const std::filesystem::path& path, const FailedRecord& record) {
  try {
    os.CreateDirectories(path.parent_path());
    WriteFileAtomically(os, path, FormatFailedLog(record));
  } catch (const Error& error) {
    Log(LogLevel::kError, record.group, fmt::format("its log cannot be written: {}", error.what()));
  }
}

}  // namespace contimg::ops
