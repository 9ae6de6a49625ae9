#include "ops/web/remembered_pictures.h"

#include <algorithm>

namespace contimg::ops {

const std::string& RememberedPictures::Of(const std::string& key, const std::function<std::string()>& make) {
  const auto known = std::find_if(pictures_.begin(), pictures_.end(), [&](const auto& p) { return p.key == key; });
  if (known == pictures_.end()) {
    pictures_.push_front({key, make()});
    if (pictures_.size() > most_) pictures_.pop_back();
  } else {
    pictures_.splice(pictures_.begin(), pictures_, known);
  }
  return pictures_.front().png;
}

}  // namespace contimg::ops
