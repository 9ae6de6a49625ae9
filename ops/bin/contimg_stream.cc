// The contimg-stream service.
#include "ops/daemon/daemon.h"

int main(int argc, char** argv) { return contimg::ops::RunStream(argc, argv); }
