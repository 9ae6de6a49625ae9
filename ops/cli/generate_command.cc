// `contimg generate`: what packages install beside the programs, from the programs' own definitions.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>

#include "config/error.h"
#include "config/os.h"
#include "ops/cli/commands.h"
#include "ops/cli/reference.h"
#include "ops/daemon/daemon.h"

namespace contimg::ops {
namespace {

// A file that everybody may read, as far as the umask allows: products are for the group alone, man pages are not.
void WriteForAll(const std::filesystem::path& path, const std::string& text) {
  WriteFileAtomically(RealOs(), path, text);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::chmod(path.c_str(), 0666 & ~mask) != 0)
    throw SystemError("generate", path.string(), "cannot set the mode", errno);
}

}  // namespace

void AddGenerateCommand(CLI::App& app) {
  struct Args {
    std::string shell, directory;
  };
  auto args = std::make_shared<Args>();
  CLI::App* generate =
      app.add_subcommand("generate", "Shell completions, man pages and the service's environment file");
  generate->require_subcommand(1);

  CLI::App* completion = generate->add_subcommand("completion", "Print a completion script");
  completion->add_option("shell", args->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([args, &app] {
    const Shell shell = args->shell == "bash" ? Shell::kBash : args->shell == "zsh" ? Shell::kZsh : Shell::kFish;
    fmt::print("{}", GenerateCompletion(app, shell));
  });

  CLI::App* man = generate->add_subcommand("man", "Write the man pages into a folder");
  man->add_option("folder", args->directory, "where to write them; made when absent")->required();
  man->callback([args, &app] {
    const std::filesystem::path directory = args->directory;
    RealOs().CreateDirectories(directory);
    for (const auto& [name, page] : GenerateManPages(app)) WriteForAll(directory / name, page);
    CLI::App stream;
    StreamArgs ignored;
    DescribeStream(stream, ignored);
    WriteForAll(directory / "contimg-stream.1", GenerateStreamManPage(stream));
  });

  generate->add_subcommand("environment", "Print contimg.env with every setting commented")->callback([] {
    fmt::print("{}", GenerateEnvironmentFile());
  });
}

}  // namespace contimg::ops
