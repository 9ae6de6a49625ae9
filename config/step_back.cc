#include "config/step_back.h"

#include <sys/resource.h>
#include <unistd.h>

namespace contimg {

void StepBack() {
  constexpr int kNice = 19;
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);  // Linux: of the thread alone
}

}  // namespace contimg
