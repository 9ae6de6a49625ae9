// The command line: one Command per subcommand, one place that runs them and reports errors.
#pragma once

#include <CLI/CLI.hpp>

namespace contimg::ops {

// Parses and runs `contimg …`. Exit status: 0 success, 1 the work failed, 2 wrong use, 3 bad input data
// (config/error.h). Errors are one sentence on stderr.
int RunProgram(int argc, char** argv);

}  // namespace contimg::ops
