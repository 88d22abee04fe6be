// A snapshot's content in blocks with checksums, written and read record by record.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

#include "openbell/crc32c.hpp"
#include "openbell/snapshot.hpp"

namespace openbell {

inline void snapshot_require(bool holds, const char* what) {
    if (!holds) [[unlikely]] throw std::invalid_argument(what);
}

inline std::uint32_t block_crc(std::uint32_t block, std::span<const std::byte> content) {
    return crc32c(crc32c(0, std::as_bytes(std::span(&block, 1))), content);
}

inline std::size_t blocks_needed(std::size_t content_bytes) {
    return (content_bytes + SNAPSHOT_CONTENT_BYTES - 1) / SNAPSHOT_CONTENT_BYTES;
}

// Lays content out in blocks; the checksums come last, when the header is known.
class BlockWriter {
public:
    explicit BlockWriter(std::size_t content_bytes_max)
        : data_(content_bytes_max + blocks_needed(content_bytes_max) * SNAPSHOT_CRC_BYTES) {}

    template <typename Record>
    void put(const Record& record) {
        if (SNAPSHOT_CONTENT_BYTES - in_block_ >= sizeof record) [[likely]] {
            std::memcpy(data_.data() + at_, &record, sizeof record);
            forward(sizeof record);
        } else {
            put_split({reinterpret_cast<const std::byte*>(&record), sizeof record});
        }
    }

    std::size_t content_bytes() const { return content_bytes_; }

    Snapshot finish(const SnapshotHeader& header) {
        std::memcpy(data_.data(), &header, sizeof header);
        const std::size_t blocks = blocks_needed(content_bytes_);
        const std::size_t size = content_bytes_ + blocks * SNAPSHOT_CRC_BYTES;
        for (std::size_t block = 0; block < blocks; ++block) {
            const std::size_t from = block * SNAPSHOT_BLOCK_BYTES;
            const std::size_t bytes = std::min(SNAPSHOT_BLOCK_BYTES, size - from) - SNAPSHOT_CRC_BYTES;
            const std::uint32_t crc = block_crc(static_cast<std::uint32_t>(block), {data_.data() + from, bytes});
            std::memcpy(data_.data() + from + bytes, &crc, sizeof crc);
        }
        return {std::move(data_), size};
    }

private:
    void forward(std::size_t bytes) {
        at_ += bytes;
        in_block_ += bytes;
        content_bytes_ += bytes;
        if (in_block_ < SNAPSHOT_CONTENT_BYTES) return;
        at_ += SNAPSHOT_CRC_BYTES;
        in_block_ = 0;
    }

    void put_split(std::span<const std::byte> bytes) {
        const std::size_t first = SNAPSHOT_CONTENT_BYTES - in_block_;
        std::memcpy(data_.data() + at_, bytes.data(), first);
        forward(first);
        std::memcpy(data_.data() + at_, bytes.data() + first, bytes.size() - first);
        forward(bytes.size() - first);
    }

    Arena<std::byte> data_;
    std::size_t at_ = 0;
    std::size_t in_block_ = 0;
    std::size_t content_bytes_ = 0;
};

// The content of blocks whose checksums are right.
class BlockReader {
public:
    explicit BlockReader(std::span<const std::byte> bytes) : bytes_(bytes) {
        std::uint32_t number = 0;
        for (std::size_t from = 0; from < bytes.size(); from += SNAPSHOT_BLOCK_BYTES, ++number) {
            const std::span<const std::byte> block =
                bytes.subspan(from, std::min(SNAPSHOT_BLOCK_BYTES, bytes.size() - from));
            snapshot_require(block.size() > SNAPSHOT_CRC_BYTES, "the snapshot is cut short");
            std::uint32_t crc = 0;
            std::memcpy(&crc, block.data() + block.size() - SNAPSHOT_CRC_BYTES, sizeof crc);
            snapshot_require(crc == block_crc(number, block.first(block.size() - SNAPSHOT_CRC_BYTES)),
                    "the snapshot is damaged: a checksum is wrong");
        }
        content_bytes_ = bytes.size() - number * SNAPSHOT_CRC_BYTES;
    }

    std::size_t content_bytes() const { return content_bytes_; }
    std::size_t left() const { return content_bytes_ - read_; }

    template <typename Record>
    Record get() {
        snapshot_require(left() >= sizeof(Record), "the snapshot ends within a record");
        Record record;
        auto* into = reinterpret_cast<std::byte*>(&record);
        for (std::size_t done = 0; done < sizeof record;) {
            const std::size_t in_block = at_ % SNAPSHOT_BLOCK_BYTES;
            const std::size_t bytes = std::min(sizeof record - done, SNAPSHOT_CONTENT_BYTES - in_block);
            std::memcpy(into + done, bytes_.data() + at_, bytes);
            done += bytes;
            at_ += bytes + (in_block + bytes == SNAPSHOT_CONTENT_BYTES ? SNAPSHOT_CRC_BYTES : 0);
        }
        read_ += sizeof record;
        return record;
    }

    // The number that will be read so many bytes on, unless a block ends before; good for guessing only.
    std::uint64_t number_ahead(std::size_t distance) const {
        std::uint64_t number = 0;
        if (at_ + distance + sizeof number <= bytes_.size())
            std::memcpy(&number, bytes_.data() + at_ + distance, sizeof number);
        return number;
    }

private:
    std::span<const std::byte> bytes_;
    std::size_t content_bytes_ = 0;
    std::size_t at_ = 0;
    std::size_t read_ = 0;
};

}  // namespace openbell
