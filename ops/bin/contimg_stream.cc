#include "ops/cli/program.h"

int main(int argc, char** argv) { return contimg::ops::RunProgram(argc, argv); }
