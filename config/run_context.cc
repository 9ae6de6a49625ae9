#include "config/run_context.h"

namespace contimg {
namespace {

class Silent final : public Reporter {
 public:
  void Progress(std::string_view, double) override {}
  void Warn(std::string_view, std::string_view) override {}
  void Info(std::string_view, std::string_view) override {}
};

}  // namespace

Reporter& SilentReporter() {
  static Silent silent;
  return silent;
}

}  // namespace contimg
