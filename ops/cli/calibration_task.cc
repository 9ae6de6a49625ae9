#include "ops/cli/calibration_task.h"

#include <sstream>

#include "config/error.h"
#include "ops/calibration/sky_models.h"

namespace contimg::ops {

void ModelOptions::Add(CLI::App* command) {
  command
      ->add_option(
          "--calibrator", calibrator,
          "a point source at its place: a Perley-Butler 2017 standard, or a name from what --catalog names or from an "
          "imported catalogue")
      ->type_name("NAME");
  command
      ->add_option("--catalog", catalogue,
                   "the sources around the phase centre: 'field' for the imported NVSS, the name of an imported "
                   "catalogue, or a CSV file; with --calibrator: besides it")
      ->type_name("field|NAME|FILE");
}

void ModelOptions::Check() const {
  if (!calibrator.empty() || !catalogue.empty()) return;
  throw Error(ErrorKind::kUsage, "solve", "",
              "name the model: --calibrator NAME, --catalog field|NAME|FILE, or both: the calibrator and what stands "
              "around it");
}

calibrate::ModelSources ModelOptions::Find(const Settings& settings, const calibrate::FieldView& view) const {
  const auto store = OpenSourcesIfAny(settings);
  return NamedModelSources(calibrator, catalogue, store.get(), view, settings.calibrate);
}

CalibrationTask::CalibrationTask(const SettingOptions& options)
    : settings(CurrentSettings()), reporter(MakeConsoleReporter()) {
  options.Apply(settings.values);
  context.threads = ThreadsOr(settings.values.calibrate.threads);
  context.reporter = reporter.get();
}

std::vector<std::string> SplitWords(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

}  // namespace contimg::ops
