"""Reads and changes the header of a checkpoint, so that each of its checks can be made to fail.

The layout is that of crates/checkpoint-format/src/image.rs.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

PAGE = 4096
HEADER = 360
"""The length of the header without its tables."""

MAGIC, VERSION, MACHINE, HEADER_LENGTH, FILE_LENGTH, CHECKSUM = 0, 8, 12, 16, 24, 32
CPU, PROCESS_ID = 160, 200
TABLES = 216
"""Where each field is, in bytes from the beginning."""

CPU_WORDS = 10
ZERO, VALUE, REFERENCE, VDSO, STACK = range(5)
"""The kinds of segments."""
IN_THIS_FILE = (VALUE, VDSO, STACK)


@dataclass(frozen=True)
class Segment:
    """A piece of the address space."""

    start: int
    length: int
    offset: int
    protection: int
    kind: int
    file: int

    FORMAT = "<QQQIIQ"

    @property
    def end(self) -> int:
        return self.start + self.length

    def packed(self) -> bytes:
        return struct.pack(self.FORMAT, self.start, self.length, self.offset, self.protection, self.kind, self.file)


class Image:
    """A checkpoint file. `write` gives it the checksum that it must have."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(path.read_bytes())

    def number(self, at: int, size: int = 4) -> int:
        return int.from_bytes(self.content[at : at + size], "little")

    def set_number(self, at: int, value: int, size: int = 4) -> None:
        self.content[at : at + size] = value.to_bytes(size, "little")

    @property
    def process_id(self) -> int:
        return self.number(PROCESS_ID)

    @process_id.setter
    def process_id(self, value: int) -> None:
        self.set_number(PROCESS_ID, value)

    def cpu_features(self, word: int) -> int:
        """The bits of a word that code was chosen by."""
        assert word < CPU_WORDS
        return self.number(CPU + 4 * word)

    def require_cpu_feature(self, word: int, bit: int) -> None:
        """Says that code was chosen by this bit."""
        self.set_number(CPU + 4 * word, self.cpu_features(word) | 1 << bit)

    @property
    def segments(self) -> Sequence[Segment]:
        offset, count = struct.unpack_from("<QQ", self.content, TABLES)
        size = struct.calcsize(Segment.FORMAT)
        rows = self.content[offset : offset + count * size]
        return [Segment(*row) for row in struct.iter_unpack(Segment.FORMAT, rows)]

    @segments.setter
    def segments(self, segments: Sequence[Segment]) -> None:
        """Puts the table behind all others, where it may grow: the header gets one more page, and the body moves."""
        table = self.number(HEADER_LENGTH, 8)
        rows = [replace(one, offset=one.offset + PAGE) if one.kind in IN_THIS_FILE else one for one in segments]
        length = sum(len(row.packed()) for row in rows)
        pages = -(-length // PAGE)
        rows = [replace(one, offset=one.offset + (pages - 1) * PAGE) if one.kind in IN_THIS_FILE else one for one in rows]
        packed = b"".join(row.packed() for row in rows)
        self.content[table:table] = packed.ljust(pages * PAGE, b"\0")
        self.set_number(HEADER_LENGTH, table + pages * PAGE, 8)
        self.set_number(FILE_LENGTH, len(self.content), 8)
        struct.pack_into("<QQ", self.content, TABLES, table, len(rows))

    def write(self, path: Path) -> None:
        self.set_number(CHECKSUM, 0, 8)
        end = self.number(HEADER_LENGTH, 8)
        tables = xxh64(bytes(self.content[HEADER:end]))
        rotated = (tables << 1 | tables >> 63) & MASK
        self.set_number(CHECKSUM, xxh64(bytes(self.content[:HEADER])) ^ rotated, 8)
        path.write_bytes(self.content)


MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & MASK


def _round(lane: int, value: int) -> int:
    return _rotate((lane + value * P2) & MASK, 31) * P1 & MASK


def xxh64(data: bytes) -> int:
    """64-bit xxHash with seed 0, as in https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md."""
    whole = len(data) & ~31
    if whole:
        lanes = [P1 + P2 & MASK, P2, 0, -P1 & MASK]
        for stripe in struct.iter_unpack("<QQQQ", data[:whole]):
            lanes = [_round(lane, value) for lane, value in zip(lanes, stripe, strict=True)]
        hash_ = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            hash_ = ((hash_ ^ _round(0, lane)) * P1 + P4) & MASK
    else:
        hash_ = P5
    hash_ = hash_ + len(data) & MASK
    rest = data[whole:]
    while len(rest) >= 8:
        hash_ = (_rotate(hash_ ^ _round(0, int.from_bytes(rest[:8], "little")), 27) * P1 + P4) & MASK
        rest = rest[8:]
    if len(rest) >= 4:
        hash_ = (_rotate(hash_ ^ int.from_bytes(rest[:4], "little") * P1 & MASK, 23) * P2 + P3) & MASK
        rest = rest[4:]
    for byte in rest:
        hash_ = _rotate(hash_ ^ byte * P5 & MASK, 11) * P1 & MASK
    hash_ = (hash_ ^ hash_ >> 33) * P2 & MASK
    hash_ = (hash_ ^ hash_ >> 29) * P3 & MASK
    return hash_ ^ hash_ >> 32
