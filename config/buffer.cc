#include "config/buffer.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdint>

#include "config/error.h"

namespace contimg::internal {

void* MapPages(std::size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    throw Error(ErrorKind::kResource, "memory", "", fmt::format("cannot get {:.1f} MiB of memory", bytes / 1048576.0));
  }
  constexpr std::size_t kHugePage = 2u << 20;
  if (bytes >= kHugePage) madvise(pages, bytes, MADV_HUGEPAGE);  // advice: a refusal costs speed only
  return pages;
}

void ReleasePages(void* begin, std::size_t bytes) noexcept {
  constexpr std::size_t kPage = 4096;
  const std::size_t before = (kPage - reinterpret_cast<std::uintptr_t>(begin) % kPage) % kPage;
  if (bytes < before + kPage) return;
  madvise(static_cast<char*>(begin) + before, (bytes - before) / kPage * kPage, MADV_DONTNEED);
}

void UnmapPages(void* pages, std::size_t bytes) noexcept { munmap(pages, bytes); }

}  // namespace contimg::internal
