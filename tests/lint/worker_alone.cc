// A program of the worker alone, to see that its library links without a database. It is built and looked at, not run.
#include "config/os.h"
#include "ops/worker/worker.h"

int main(int argc, char** argv) { return argc > 1 ? contimg::ops::RunWorker(argv[1], contimg::RealOs()) : 2; }
