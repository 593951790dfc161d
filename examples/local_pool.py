"""A local pool: four workers of this process hash words with murmur3 (32 bits).

Shows: `allocate`, a default value, and `gather`, which waits for many results and keeps their type.
"""

from __future__ import annotations

from typeddingo import App, gather

app = App("local")
WORDS = ("", "test", "hello", "The quick brown fox jumps over the lazy dog")
MASK = 0xFFFF_FFFF


def rotate(value: int, by: int) -> int:
    """A 32-bit rotation to the left."""
    return (value << by | value >> (32 - by)) & MASK


def scramble(block: int) -> int:
    """How a block is mixed before it meets the hash."""
    return rotate(block * 0xCC9E2D51 & MASK, 15) * 0x1B873593 & MASK


@app.task
def murmur3(data: bytes, seed: int = 0) -> int:
    """Austin Appleby's MurmurHash3_x86_32: whole blocks of four bytes, the rest, then an avalanche."""
    value, whole = seed, len(data) & ~3
    for start in range(0, whole, 4):
        value ^= scramble(int.from_bytes(data[start : start + 4], "little"))
        value = rotate(value, 13) * 5 + 0xE6546B64 & MASK
    value ^= scramble(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        value = (value ^ value >> shift) * factor & MASK
    return value


def main() -> None:
    with app:
        app.allocate(murmur3, count=4)
        hashes = gather(*[murmur3.call(word.encode()) for word in WORDS]).get(timeout=10)
    for word, value in zip(WORDS, hashes, strict=True):
        print(f"{value:08x} {word!r}")


if __name__ == "__main__":
    main()
