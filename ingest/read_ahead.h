// Files on their way into the page cache before they are read. Used within ingest only.
#pragma once

#include <filesystem>
#include <thread>
#include <vector>

namespace contimg::ingest {

// Asks for files one after the other, in the order in which they are going to be read, in pieces as large as a disk likes
// them: rows of a chunked file are many small pieces of it. Costs next to nothing where the files are in memory already.
// Ends with the object; what cannot be read is for the reader to say.
class ReadAhead {
 public:
  explicit ReadAhead(std::vector<std::filesystem::path> files);

 private:
  std::jthread thread_;
};

}  // namespace contimg::ingest
