#include "config/checksum.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <new>
#include <vector>

#include "config/descriptor.h"
#include "config/error.h"

namespace contimg {

struct Xxh64::State {
  XXH64_state_t* state = XXH64_createState();
  State() {
    if (state == nullptr) throw std::bad_alloc();
    XXH64_reset(state, 0);
  }
  ~State() { XXH64_freeState(state); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Xxh64::Xxh64() : state_(std::make_unique<State>()) {}
Xxh64::~Xxh64() = default;

void Xxh64::Add(const void* data, std::size_t size) {
  if (size > 0) XXH64_update(state_->state, data, size);
}

std::uint64_t Xxh64::Digest() const { return XXH64_digest(state_->state); }
std::string Xxh64::Hex() const { return fmt::format("{:016x}", Digest()); }
std::string Fnv1a::Hex() const { return fmt::format("{:016x}", hash_); }

void ReadInPieces(const std::filesystem::path& file, const char* stage,
                  const std::function<void(const void*, std::size_t)>& add) {
  // A pipe without a writer would hold whoever opens it, a device may have no end.
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor.open()) throw SystemError(stage, file.string(), "cannot open", errno);
  struct stat info {};
  if (::fstat(descriptor.get(), &info) != 0) throw SystemError(stage, file.string(), "cannot read", errno);
  if (!S_ISREG(info.st_mode)) throw Error(ErrorKind::kIo, stage, file.string(), "is not a file");
  std::vector<char> buffer(std::size_t{1} << 20);
  for (;;) {
    const ssize_t n = ::read(descriptor.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw SystemError(stage, file.string(), "cannot read", errno);
    if (n == 0) return;
    add(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace contimg
