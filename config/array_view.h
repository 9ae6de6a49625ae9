// Views of contiguous C-order arrays: a pointer and a shape, nothing owned. C++17-clean.
//
// The last index runs fastest. Copying a view copies no data. Indexing is unchecked in kernels; shapes are checked
// where arrays enter a function.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

namespace contimg {

template <typename T, std::size_t N>
class ArrayView {
 public:
  ArrayView() = default;
  ArrayView(T* data, const std::array<std::size_t, N>& shape) : data_(data), shape_(shape) {}
  // A mutable view converts to a const one.
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
  ArrayView(const ArrayView<U, N>& other) : data_(other.data()), shape_(other.shape()) {}

  T* data() const { return data_; }
  const std::array<std::size_t, N>& shape() const { return shape_; }
  std::size_t shape(std::size_t axis) const { return shape_[axis]; }
  // Number of elements: the product of the shape.
  std::size_t size() const {
    std::size_t n = 1;
    for (std::size_t extent : shape_) n *= extent;
    return n;
  }
  bool empty() const { return size() == 0; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size(); }

  template <typename... I>
  T& operator()(I... index) const {
    static_assert(sizeof...(I) == N, "one index per axis");
    return data_[Offset(index...)];
  }
  // The sub-array at position `i` of the first axis.
  auto operator[](std::size_t i) const {
    if constexpr (N == 1) {
      return data_[i];
    } else {
      std::array<std::size_t, N - 1> rest{};
      std::size_t stride = 1;
      for (std::size_t axis = 1; axis < N; ++axis) {
        rest[axis - 1] = shape_[axis];
        stride *= shape_[axis];
      }
      return ArrayView<T, N - 1>(data_ + i * stride, rest);
    }
  }

 private:
  template <typename... I>
  std::size_t Offset(I... index) const {
    const std::array<std::size_t, N> at{static_cast<std::size_t>(index)...};
    std::size_t offset = 0;
    for (std::size_t axis = 0; axis < N; ++axis) offset = offset * shape_[axis] + at[axis];
    return offset;
  }

  T* data_ = nullptr;
  std::array<std::size_t, N> shape_{};
};

}  // namespace contimg
