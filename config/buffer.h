// Large flat memory for visibilities, weights and grids. C++17-clean.
//
// Memory comes straight from the kernel: it is zero, page-aligned, backed by huge pages where the system has them and
// given back in full on destruction. Nothing is touched before its first use, so that the thread that fills a part also
// maps it. Move-only: a copy of gigabytes must be a named decision.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace contimg {

namespace internal {
// Anonymous zeroed mapping of at least `bytes`; throws Error{kResource} that names the size. Free with UnmapPages.
void* MapPages(std::size_t bytes);
void UnmapPages(void* pages, std::size_t bytes) noexcept;
constexpr std::size_t WholePages(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }
// Gives the whole pages in the range back.
void ReleasePages(void* begin, std::size_t bytes) noexcept;
}  // namespace internal

template <typename T>
class Buffer {
  static_assert(std::is_trivially_destructible_v<T>, "Buffer holds plain data");

 public:
  Buffer() = default;
  // `size` zeroed elements (all bits zero).
  explicit Buffer(std::size_t size)
      : data_(size == 0 ? nullptr : static_cast<T*>(internal::MapPages(size * sizeof(T)))), size_(size) {}
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != nullptr) internal::UnmapPages(data_, size_ * sizeof(T));
  }

  // Gives the memory of `count` elements from `first` on back to the system. What they hold is lost.
  void Release(std::size_t first, std::size_t count) { internal::ReleasePages(data_ + first, count * sizeof(T)); }

  // The same memory as `size` elements of another type, no more bytes than before; what it does not need goes back to
  // the system.
  template <typename U>
  Buffer<U> Become(std::size_t size) && {
    static_assert(std::is_trivially_destructible_v<U>, "Buffer holds plain data");
    Buffer<U> other;
    const std::size_t before = internal::WholePages(size_ * sizeof(T)), after = internal::WholePages(size * sizeof(U));
    if (after < before) internal::UnmapPages(reinterpret_cast<char*>(data_) + after, before - after);
    if (after > 0) other.data_ = reinterpret_cast<U*>(data_);
    data_ = nullptr;
    other.size_ = size;
    size_ = 0;
    return other;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  template <typename U>
  friend class Buffer;

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace contimg
