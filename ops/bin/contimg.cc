// The contimg program: parse the command line, run one subcommand, turn an error into one sentence and an exit status.
#include "ops/cli/program.h"

int main(int argc, char** argv) { return contimg::ops::RunProgram(argc, argv); }
