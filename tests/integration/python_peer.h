// Runs the scripts beside the integration tests with Debian's Python, whose packages are the independent peers.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace contimg {

struct PeerResult {
  int status = -1;
  std::string output;  // stdout and stderr
};

// Without the variables that are for the tests: the commands of contimg would warn of them.
inline PeerResult RunCommand(const std::string& command) {
  PeerResult result;
  const std::string own = "unset CONTIMG_TEST_DATA CONTIMG_TEST_FULL_TILE CONTIMG_EVERY_FAULT; ";
  FILE* pipe = popen((own + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) result.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

inline std::string Quoted(const std::string& argument) {
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// Runs wsclean. It refuses to start where another package has brought the OpenBLAS of many threads, unless told so.
inline PeerResult Wsclean(const std::string& options) {
  return RunCommand("OPENBLAS_NUM_THREADS=1 wsclean " + options);
}

// Says why not: a test that is skipped must not look as if its peer were missing when it only failed to start.
inline bool HavePythonPeer(const std::string& module) {
  const PeerResult found = RunCommand("/usr/bin/python3 -c " + Quoted("import " + module));
  if (found.status != 0)
    std::printf("no python peer %s: status %d\n%s", module.c_str(), found.status, found.output.c_str());
  return found.status == 0;
}

// `script` lies in tests/integration.
inline PeerResult RunPythonPeer(const std::string& script, const std::vector<std::string>& arguments) {
  std::string command = "/usr/bin/python3 " + Quoted(std::string(CONTIMG_SOURCE_DIR) + "/tests/integration/" + script);
  for (const std::string& argument : arguments) command += " " + Quoted(argument);
  return RunCommand(command);
}

}  // namespace contimg
