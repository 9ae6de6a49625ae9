#include "ops/cli/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/settings.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/runner/last_words.h"
#include "ops/version.h"

namespace contimg::ops {
namespace {

// What is wrong with the command line, in one sentence. CLI11 only says that a subcommand is missing when the one given
// is unknown.
std::string Explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (!app.get_subcommands().empty()) return error.what();
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(command->get_name());
  }
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.rfind("--", 0) == 0 && word.find('=') == std::string::npos) ++i;  // the shared options take one value
    if (word.rfind('-', 0) == 0) continue;
    if (std::find(known.begin(), known.end(), word) != known.end()) break;
    const std::string near = NearestWord(word, known);
    return fmt::format("there is no command \"{}\"{}", word, near.empty() ? "" : "; did you mean " + near + "?");
  }
  return error.what();
}

// No option means "nan" or "inf" by a number, and a range lets "nan" through.
void RefuseNumbersThatAreNone(CLI::App& app) {
  const CLI::Validator finite(
      [](std::string& text) {
        const std::string word = CLI::detail::to_lower(text);
        const bool none = word.find("nan") != std::string::npos || word.find("inf") != std::string::npos;
        return none ? fmt::format("expected a finite number, found '{}'", text) : std::string();
      },
      "");
  for (CLI::Option* option : app.get_options()) {
    if (option->get_type_name().rfind("FLOAT", 0) == 0) option->check(finite);
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    RefuseNumbersThatAreNone(*command);
}

}  // namespace

int RunProgram(int argc, char** argv) {
  CLI::App app{"contimg: radio-interferometry continuum imaging, from correlator files to calibrated images"};
  app.set_version_flag("--version", std::string("contimg ") + kVersion);
  AddProgramOptions(app);
  app.require_subcommand(1);
  app.fallthrough();  // the shared options may stand behind the subcommand, too
  AddCommands(app);
  RefuseNumbersThatAreNone(app);
  SetLastWords([](ErrorKind, const std::string& words) { fmt::print(stderr, "contimg: {}\n", words); });
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "contimg: {} (try --help)\n", Explain(app, error, argc, argv));
    return ExitStatus(ErrorKind::kUsage);
  } catch (const Error& error) {
    fmt::print(stderr, "contimg: {}\n", error.what());
    return ExitStatus(error.kind());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "contimg: out of memory\n");
    return ExitStatus(ErrorKind::kResource);
  } catch (const std::exception& error) {
    fmt::print(stderr, "contimg: internal error: {}\n", error.what());
    return ExitStatus(ErrorKind::kBug);
  }
}

}  // namespace contimg::ops
