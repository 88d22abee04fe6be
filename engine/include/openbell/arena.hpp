// A fixed array of zeroed memory that costs nothing until touched, on huge pages when it is large.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace openbell {

inline constexpr std::size_t HUGE_PAGE_BYTES = 2U << 20U;

template <typename T>
class Arena {
public:
    explicit Arena(std::size_t count) : mapped_bytes_(bytes_needed(count)) {
        mapping_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapping_ == MAP_FAILED) throw std::bad_alloc();
        auto start = reinterpret_cast<std::uintptr_t>(mapping_);
        if (is_large()) start = (start + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
        items_ = reinterpret_cast<T*>(start);
#ifdef MADV_HUGEPAGE
        // Advice only: a kernel without huge pages refuses it and the arena works the same, slower.
        if (is_large()) (void)madvise(items_, mapped_bytes_ - HUGE_PAGE_BYTES, MADV_HUGEPAGE);
#endif
    }
    ~Arena() {
        if (mapping_ != nullptr) munmap(mapping_, mapped_bytes_);
    }
    Arena(Arena&& other) noexcept
        : mapped_bytes_(other.mapped_bytes_), mapping_(std::exchange(other.mapping_, nullptr)), items_(other.items_) {}
    Arena& operator=(Arena&& other) noexcept {
        std::swap(mapped_bytes_, other.mapped_bytes_);
        std::swap(mapping_, other.mapping_);
        std::swap(items_, other.items_);
        return *this;
    }

    T& operator[](std::size_t index) { return items_[index]; }
    const T& operator[](std::size_t index) const { return items_[index]; }
    T* data() { return items_; }
    const T* data() const { return items_; }

private:
    static std::size_t bytes_needed(std::size_t count) {
        const std::size_t bytes = count * sizeof(T);
        return bytes < HUGE_PAGE_BYTES ? bytes : bytes + HUGE_PAGE_BYTES;
    }
    bool is_large() const { return mapped_bytes_ >= 2 * HUGE_PAGE_BYTES; }

    std::size_t mapped_bytes_;
    void* mapping_ = nullptr;
    T* items_ = nullptr;
};

}  // namespace openbell
