#include "convert/lock_holder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace contimg::convert {

namespace fs = std::filesystem;

std::string ProcessWords(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::string> words;
  std::istringstream rest(line);
  for (std::string word; words.size() < 2 && std::getline(rest, word, '\0');) words.push_back(word);
  if (words.empty()) return fmt::format("process {}", pid);
  std::string name = fs::path(words[0]).filename().string();
  if (words.size() > 1 && !words[1].empty() && words[1].find_first_of("/-.") == std::string::npos)
    name += " " + words[1];
  // What another user's command line holds goes to a terminal.
  std::replace_if(
      name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return fmt::format("process {} ({})", pid, name);
}

std::string LockHolder(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "another process";
  // "3: FLOCK  ADVISORY  WRITE 4711 fe:01:396301 0 EOF"
  std::ifstream file("/proc/locks");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, type, where;
    pid_t pid = 0;
    if (!(words >> number >> kind >> mode >> type >> pid >> where) || kind != "FLOCK" || pid <= 0) continue;
    if (where.substr(where.rfind(':') + 1) == std::to_string(info.st_ino)) return ProcessWords(pid);
  }
  return "another process";
}

}  // namespace contimg::convert
