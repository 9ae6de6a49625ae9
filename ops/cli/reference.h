// What is generated from the definitions of commands and settings, so that it can never disagree with them: shell
// completions, man pages, the environment file of the service.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace contimg::ops {

enum class Shell { kBash, kZsh, kFish };

// A script that completes `contimg`'s subcommands and options.
std::string GenerateCompletion(const CLI::App& app, Shell shell);
// Man pages in section 1 as (file name, groff text): contimg.1 and one per top-level subcommand (contimg-queue.1…).
std::vector<std::pair<std::string, std::string>> GenerateManPages(const CLI::App& app);
// contimg-stream.1.
std::string GenerateStreamManPage(const CLI::App& app);
// ops/systemd/contimg.env: every setting with its meaning and default, commented out.
std::string GenerateEnvironmentFile();

}  // namespace contimg::ops
