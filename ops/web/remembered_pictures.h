// Pictures that were made for a browser and may be asked for again soon.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <string>

namespace contimg::ops {

class RememberedPictures {
 public:
  explicit RememberedPictures(std::size_t most) : most_(most) {}
  // The picture of this key: a remembered one, or what make() returns, for which the one that was used longest ago may
  // be forgotten. Holds until the next call. What make() throws leaves all as it was.
  const std::string& Of(const std::string& key, const std::function<std::string()>& make);

 private:
  struct Remembered {
    std::string key, png;
  };
  std::size_t most_;
  std::list<Remembered> pictures_;  // last used first
};

}  // namespace contimg::ops
