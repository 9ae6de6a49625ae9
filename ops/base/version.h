// What this program is, for records and metrics.
#pragma once

namespace contimg::ops {

constexpr const char* kVersion = "0.1.0";
constexpr const char* kCompiler =
#ifdef __clang__
    "clang " __clang_version__;
#else
    "gcc " __VERSION__;
#endif

}  // namespace contimg::ops
