#include "ops/cli/reference.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "ops/cli/commands.h"

namespace contimg::ops {
namespace {

TEST(EnvironmentFile, IsWhatTheSettingsGenerate) {
  std::ifstream file(std::string(CONTIMG_SOURCE_DIR) + "/ops/systemd/contimg.env");
  ASSERT_TRUE(file);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, GenerateEnvironmentFile()) << "rewrite it: contimg generate environment > ops/systemd/contimg.env";
}

TEST(Completion, KnowsEverySubcommandInEveryShell) {
  CLI::App app;
  AddCommands(app);
  for (Shell shell : {Shell::kBash, Shell::kZsh, Shell::kFish}) {
    const std::string script = GenerateCompletion(app, shell);
    for (const char* word : {"queue", "requeue", "status", "convert"}) {
      EXPECT_NE(script.find(word), std::string::npos) << word;
    }
  }
}

TEST(ManPages, ThereIsOneForEverySubcommand) {
  CLI::App app;
  AddCommands(app);
  EXPECT_EQ(GenerateManPages(app).size(), 1 + app.get_subcommands({}).size());
}

}  // namespace
}  // namespace contimg::ops
