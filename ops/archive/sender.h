// Files on their way to one remote: to a folder of parts, read back, to their names, read again. Small deliveries go
// many at a time, one call of rclone for each step. Every step may be repeated after a kill.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/run_context.h"
#include "ops/archive/remote.h"

namespace contimg::ops {

// Files that stand or fall together.
struct Delivery {
  struct File {
    std::string name;  // there, and in the sender's folder unless it comes from another remote
    std::string sha256;
    const Remote* at = nullptr;  // the other remote
    std::string its;             // the file's name there
  };
  std::vector<File> files;
  File mark;  // gets its name after the others: with it, all of them are there
  // Whether a mark of other bytes that is there already says the same; none: it does not.
  std::function<bool(const std::string& text)> says_the_same;
};
using DeliverySet = std::vector<const Delivery*>;
using SendFailures = std::map<const Delivery*, Error>;

class Sender {
 public:
  // `folder`: where the files are. `owner`: of parts, which are of nobody else.
  Sender(std::filesystem::path folder, std::string owner, const RunContext& context)
      : folder_(std::move(folder)), owner_(std::move(owner)), context_(context) {}

  // `copied` is called with those whose files have their names, marks too, before they are read again. What is not
  // among the failures has been read twice then. Failures are Error{kBadInput}: something else has a name;
  // Error{kResource}: the remote is full; Error{kIo, kTimeout}: another try may help, and the remote's number of them
  // is used up. Throws Error{kCancelled}.
  SendFailures Send(const Remote& remote, DeliverySet set, const std::function<void(const DeliverySet&)>& copied) const;
  // What is left of parts, in nobody's way when it cannot be removed: of these; of killed runs; empty folders.
  void DropParts(const Remote& remote, const DeliverySet& set) const;
  void DropAllParts(const Remote& remote) const;
  void DropEmptyFolder(const Remote& remote) const;

 private:
  struct Part {
    const Delivery* of;
    const Delivery::File* file;
    bool is_mark() const { return file == &of->mark; }
  };
  void Attempt(const Remote& remote, const DeliverySet& set, const std::function<void(const DeliverySet&)>& copied,
               SendFailures& failures) const;
  std::vector<Part> Missing(const Remote& remote, const DeliverySet& set, SendFailures& failures) const;
  void Put(const Remote& remote, const std::vector<Part>& parts, SendFailures& failures) const;
  void ReadAgain(const Remote& remote, const DeliverySet& named, const std::vector<Part>& put,
                 SendFailures& failures) const;
  void Trying(const std::function<void()>& removal) const;
  static bool IsSame(const Remote& remote, const Part& part, const std::map<std::string, std::string>& digests);
  static ObjectNames NamesOf(const std::vector<Part>& parts, const SendFailures& failures);

  std::filesystem::path folder_;
  std::string owner_;
  const RunContext& context_;
};

}  // namespace contimg::ops
