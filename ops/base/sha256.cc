#include "ops/base/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "config/checksum.h"
#include "config/error.h"

namespace contimg::ops {
namespace {

void Require(int status) {
  if (status != 1) throw Error(ErrorKind::kResource, "checksum", "SHA-256", "cannot be computed by libcrypto");
}

struct Free {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, Free>;

}  // namespace

struct Sha256::State {
  Context context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  Require(state_->context != nullptr ? EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) : 0);
}
Sha256::~Sha256() = default;

void Sha256::Add(const void* data, std::size_t size) { Require(EVP_DigestUpdate(state_->context.get(), data, size)); }

std::string Sha256::Hex() const {
  const Context copy(EVP_MD_CTX_new());
  Require(copy != nullptr ? EVP_MD_CTX_copy_ex(copy.get(), state_->context.get()) : 0);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(copy.get(), digest.data(), &size));
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string FileSha256(const std::filesystem::path& file) {
  Sha256 hash;
  ReadInPieces(file, "checksum", [&](const void* data, std::size_t n) { hash.Add(data, n); });
  return hash.Hex();
}

}  // namespace contimg::ops
