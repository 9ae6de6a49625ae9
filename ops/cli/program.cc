#include "ops/cli/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "config/error.h"
#include "config/settings.h"
#include "config/text.h"
#include "ops/base/last_words.h"
#include "ops/base/standard_output.h"
#include "ops/base/version.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "state/database.h"

namespace contimg::ops {
namespace {

std::string Suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::string near = NearestWord(word, known);
  return near.empty() ? "" : fmt::format(", did you mean '{}'?", near);
}

std::vector<std::string> SubcommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

void AddOptionNames(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
}

// CLI11's words for a value that is none of its option's kind name the option, not what is expected of it.
std::string WordsOf(const CLI::App& at, const CLI::ParseError& error) {
  const std::string words = error.what();
  constexpr std::string_view kStart = "Could not convert: ", kBetween = " = ";
  const std::size_t between = words.find(kBetween);
  if (words.rfind(kStart, 0) != 0 || between == std::string::npos) return words;
  const std::string name = words.substr(kStart.size(), between - kStart.size());
  const CLI::Option* option = at.get_option_no_throw(name);
  const bool whole = option != nullptr && option->get_type_name().find("INT") != std::string::npos;
  return fmt::format("{}: expected a {}number, found '{}'", name, whole ? "whole " : "",
                     words.substr(between + kBetween.size()));
}

// What is wrong with the command line, in one sentence. CLI11 only says that a subcommand is missing when the one given
// is unknown, and does not look for the nearest word.
std::string Explain(CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  CLI::App* at = &app;
  std::string path;  // "queue list"
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") break;
    if (word.size() > 1 && word[0] == '-') {
      const std::size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      const CLI::Option* option = at->get_option_no_throw(name);
      if (option == nullptr) option = app.get_option_no_throw(name);
      if (option == nullptr && name.rfind("--", 0) == 0) {
        std::vector<std::string> known;
        AddOptionNames(*at, known);
        if (at != &app) AddOptionNames(app, known);
        return fmt::format("{}has no option '{}'{}", path.empty() ? "" : path + " ", name, Suggestion(name, known));
      }
      if (option != nullptr && option->get_items_expected_max() > 0 && equals == std::string::npos) ++i;  // its value
      continue;
    }
    const std::vector<std::string> known = SubcommandNames(*at);
    if (known.empty()) break;  // from here on words are arguments
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      if (at->get_require_subcommand_min() == 0) return WordsOf(*at, error);  // it takes arguments as well
      return fmt::format("unknown {} '{}'{}", at == &app ? "command" : "subcommand", word,
                         NearestWord(word, known).empty() && at != &app
                             ? fmt::format("; {} knows {}", path, fmt::join(known, ", "))
                             : Suggestion(word, known));
    }
    at = at->get_subcommand(word);
    path += (path.empty() ? "" : " ") + word;
  }
  if (const auto known = SubcommandNames(*at); !known.empty() && at->get_require_subcommand_min() > 0) {
    return fmt::format("{}: {}", at == &app ? "expected a command" : path + " needs a subcommand",
                       fmt::join(known, ", "));
  }
  return WordsOf(*at, error);
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

// An empty word is a variable of a script that was not set; taken as not given, it would mean everything (--group "").
void RefuseEmptyWords(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") return;
    const bool is_empty = word.empty() || (word.substr(0, 2) == "--" && word.find('=') == word.size() - 1);
    if (!is_empty) continue;
    const std::string_view after = word.empty() ? argv[i - 1] : word.substr(0, word.size() - 1);
    throw Error(ErrorKind::kUsage, "program", "",
                fmt::format("expected a value after '{}', found an empty word (a variable that is not set?)",
                            i == 1 && word.empty() ? "contimg" : after));
  }
}

int Fail(std::string_view words, ErrorKind kind) {
  fmt::print(stderr, "contimg: {}\n", Printable(words));
  return ExitStatus(kind);
}

}  // namespace

int RunProgram(int argc, char** argv) {
  KeepStandardStreams();
  CLI::App app{"contimg: radio-interferometry continuum imaging, from correlator files to calibrated images"};
  app.set_version_flag("--version", std::string("contimg ") + kVersion);
  AddProgramOptions(app);
  app.require_subcommand(1);
  app.fallthrough();  // the shared options may stand behind the subcommand, too
  AddCommands(app);
  RefuseNumbersThatAreNone(app);
  SetLastWords([](ErrorKind, const std::string& words) { fmt::print(stderr, "contimg: {}\n", Printable(words)); });
  state::SetMigrationNotice([](const std::string& sentence) { fmt::print(stderr, "{}\n", Printable(sentence)); });
  try {
    RefuseEmptyWords(argc, argv);
    app.parse(argc, argv);
    FinishOutput();
    return 0;
  } catch (const CLI::Success& request) {  // --help, --version
    const int status = app.exit(request);
    try {
      FinishOutput();
    } catch (const Error& error) {
      return Fail(error.what(), error.kind());
    }
    return status;
  } catch (const CLI::ParseError& error) {
    return Fail(Explain(app, error, argc, argv) + " (try --help)", ErrorKind::kUsage);
  } catch (const Error& error) {
    return Fail(error.what(), error.kind());
  } catch (const std::bad_alloc&) {
    return Fail("out of memory", ErrorKind::kResource);
  } catch (const std::system_error& error) {
    if (std::ferror(stdout) != 0) {  // fmt's, when a long output does not fit
      return Fail(fmt::format("standard output: cannot write: {}", error.code().message()), ErrorKind::kIo);
    }
    return Fail(fmt::format("internal error: {}", error.what()), ErrorKind::kBug);
  } catch (const std::exception& error) {
    return Fail(fmt::format("internal error: {}", error.what()), ErrorKind::kBug);
  }
}

}  // namespace contimg::ops
