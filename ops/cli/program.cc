#include "ops/cli/program.h"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <new>

#include "config/error.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/version.h"

namespace contimg::ops {

int RunProgram(int argc, char** argv) {
  CLI::App app{"contimg: radio-interferometry continuum imaging, from correlator files to calibrated images"};
  app.set_version_flag("--version", std::string("contimg ") + kVersion);
  AddProgramOptions(app);
  app.require_subcommand(1);
  app.fallthrough();  // the shared options may stand behind the subcommand, too
  AddCommands(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "contimg: {} (try --help)\n", error.what());
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
