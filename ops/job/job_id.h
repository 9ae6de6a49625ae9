// How work is called between the daemon, the executors and the workers: "<kind>/<subject>",
// "group/2025-10-13T13:28:03", "backup/2025-10-14T03:00:00". In the queue a group's row has the subject alone as its
// id, a task's row the whole.
#pragma once

#include <string>
#include <string_view>

namespace contimg::ops {

inline constexpr std::string_view kGroupKind = "group";

struct JobId {
  std::string kind, subject;

  static JobId OfGroup(std::string_view group) { return {std::string(kGroupKind), std::string(group)}; }
  // Throws Error{kBadInput} for anything without a kind and a subject, or with characters that no file name should
  // have.
  static JobId Parse(std::string_view text);

  bool is_group() const { return kind == kGroupKind; }
  std::string text() const { return kind + "/" + subject; }
  std::string row_id() const { return is_group() ? subject : text(); }
  // The name of one attempt, known before it starts: "contimg-group-2025-10-13T13:28:03-1".
  std::string AttemptName(int attempt) const;

  friend bool operator==(const JobId&, const JobId&) = default;
};

}  // namespace contimg::ops
