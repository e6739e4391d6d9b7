"""HPACK, the header compression of HTTP/2 (RFC 7541): ``Decoder`` and ``Encoder``.

Strategy
--------
Each direction of a connection has a dynamic table of recent fields, which the encoder
fills and the decoder mirrors; an index refers to it or to the static table.  What makes
it cheap here is that most header blocks repeat: after the first request of a kind, all
its fields are indexes, and the octets of the block are the same each time.  So both
directions keep the last few blocks whole, for as long as the dynamic table does not
change, and a repeated block costs one dictionary look-up.

Rules
-----
* Every block must be decoded, also of a stream that is refused, since it may change the
  table (section 4.3 and RFC 9113 section 4.3).  So a block over the limits is decoded to
  its end, its fields dropped, before ``HeaderListTooLarge`` is raised.
* Any other fault leaves the table unknown and the connection lost: ``HPACKError``,
  COMPRESSION_ERROR (RFC 9113 section 4.3).
* Secrets never enter a table, neither ours nor that of an intermediary: they are sent as
  never-indexed literals (section 7.1.3).

Limits
------
Integers end at 2**32 - 1 and at 5 continuation octets (section 5.1 asks for a limit).
A field list ends at ``max_header_list_size`` and at ``max_fields``: a one-octet index may
stand for a field of 4 KiB, or for a crumb that costs 100 times its octet in memory.
Both directions are linear in the octets and fields, and all caches are bounded.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from plait_engine.headers import decode as decode_text
from plait_engine.headers import encode as encode_text

from . import huffman
from .hpack_tables import (
    ENTRY_OVERHEAD,
    STATIC_INDEXES,
    STATIC_LENGTH,
    STATIC_NAMES,
    STATIC_TABLE,
    Entry,
    Field,
)

DEFAULT_TABLE_SIZE = 4096
"""SETTINGS_HEADER_TABLE_SIZE before any SETTINGS (RFC 9113 section 6.5.2)."""

MAX_INTEGER = 2**32 - 1
_MAX_CONTINUATIONS = 5

# What a connection remembers at most.  Blocks above the size are rare and cost memory.
_CACHED_BLOCKS = 64
_CACHED_BLOCK_SIZE = 1024

# The first octet of a representation says its kind (RFC 7541 section 6).
_INDEXED = 0x80  # 6.1: an index of 7 bits
_INCREMENTAL = 0x40  # 6.2.1: a literal that enters the table, name index of 6 bits
_SIZE_UPDATE = 0x20  # 6.3: a size of 5 bits
_NEVER_INDEXED = 0x10  # 6.2.3: a literal that no intermediary may index, 4 bits
_NOT_INDEXED = 0x00  # 6.2.2: a literal that does not enter the table, 4 bits
_HUFFMAN = 0x80  # 5.2: a string literal is Huffman-coded, its length has 7 bits

_MAX_SIZE_UPDATES = 2  # RFC 7541 section 4.2: the smallest in between, and the final one


class HPACKError(Exception):
    """A block cannot be decoded.  The table is unknown from here on: COMPRESSION_ERROR."""


class HeaderListTooLarge(Exception):
    """The fields of a block exceed a limit.  The table is in sync, the next block decodes."""


def encode_integer(value: int, prefix: int, first: int) -> bytes:
    """Return ``value`` with a prefix of ``prefix`` bits in the octet ``first`` (section 5.1)."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes((first | value,))
    octets = bytearray((first | limit,))
    value -= limit
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def decode_integer(block: bytes, pos: int, limit: int) -> tuple[int, int]:
    """Return an integer whose prefix was all 1s, ``limit``, and the position behind it.

    Raises HPACKError when it is cut short or too large (section 5.1).
    """
    value = limit
    octets = block[pos : pos + _MAX_CONTINUATIONS]
    for shift, octet in enumerate(octets):
        value += (octet & 0x7F) << 7 * shift
        if octet < 0x80:
            if value > MAX_INTEGER:
                break
            return value, pos + shift + 1
    else:
        if len(octets) < _MAX_CONTINUATIONS:
            raise HPACKError("an integer is cut short")
    raise HPACKError("an integer is too large")


class Decoder:
    """Turns the header blocks of one direction into field lists.

    ``max_table_size``: octets of the dynamic table; a property, see there.
    ``max_header_list_size``: octets of a field list, with 32 more for each field (RFC 9113
    section 6.5.2).
    ``max_fields``: fields of a list, pseudo-header fields included.
    """

    __slots__ = (
        "_cache",
        "_dynamic",
        "_limit",
        "_max_fields",
        "_max_header_list_size",
        "_max_table_size",
        "_size",
    )

    def __init__(
        self,
        *,
        max_table_size: int = DEFAULT_TABLE_SIZE,
        max_header_list_size: int = 65536,
        max_fields: int = 128,
    ) -> None:
        self._max_table_size = max_table_size
        self._max_header_list_size = max_header_list_size
        self._max_fields = max_fields
        self._dynamic: deque[Entry] = deque()  # the newest first
        self._size = 0
        self._limit = max_table_size  # what the encoder chose
        self._cache: dict[bytes, list[Field]] = {}

    @property
    def max_table_size(self) -> int:
        """The SETTINGS_HEADER_TABLE_SIZE that the peer has acknowledged.

        Setting it below what the encoder uses makes a size update at the start of the next
        block mandatory (RFC 7541 section 4.2).
        """
        return self._max_table_size

    @max_table_size.setter
    def max_table_size(self, size: int) -> None:
        self._max_table_size = size
        self._cache.clear()  # a cached block does not begin with the update

    def decode(self, block: bytes) -> list[Field]:
        """Return the fields of ``block``, a complete header block.

        The same list is returned for the same block as long as the table does not change:
        callers may key on its identity and must not change it.  Raises HPACKError, and
        HeaderListTooLarge after the block was processed.
        """
        fields = self._cache.get(block)
        return self._decode(block) if fields is None else fields

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        room = self._max_header_list_size
        max_fields = self._max_fields
        end = len(block)
        start = pos = self._read_size_updates(block)
        insertions = 0
        while pos < end:
            first = block[pos]
            pos += 1
            if first >= _INDEXED:
                index = first & 0x7F
                if index == 0x7F:
                    index, pos = decode_integer(block, pos, 0x7F)
                entry = STATIC_TABLE[index] if 0 < index <= STATIC_LENGTH else self._entry(index)
            elif first >= _INCREMENTAL:
                entry, pos = self._read_literal(block, pos, first, 0x3F)
                self._insert(entry)
                insertions += 1
            elif first < _SIZE_UPDATE:
                entry, pos = self._read_literal(block, pos, first, 0x0F)
            else:
                raise HPACKError("a table size update is not at the start of the block")
            field, size = entry
            room -= size
            if room >= 0 and len(fields) < max_fields:
                fields.append(field)
            else:
                room = -1  # nothing is kept from here on
        if room < 0:
            raise HeaderListTooLarge(
                f"a field list exceeds {max_fields} fields or {self._max_header_list_size} octets"
            )
        if not insertions and not start and end <= _CACHED_BLOCK_SIZE:
            if len(self._cache) >= _CACHED_BLOCKS:
                self._cache.clear()
            self._cache[block] = fields
        return fields

    def _read_size_updates(self, block: bytes) -> int:
        """Apply the size updates at the start and return the position behind them."""
        pos = updates = 0
        while pos < len(block) and block[pos] & 0xE0 == _SIZE_UPDATE:
            updates += 1
            size = block[pos] & 0x1F
            pos += 1
            if size == 0x1F:
                size, pos = decode_integer(block, pos, 0x1F)
            if size > self._max_table_size:
                raise HPACKError(f"table size {size} exceeds {self._max_table_size}")
            if updates > _MAX_SIZE_UPDATES:
                raise HPACKError("more than two table size updates in a block")
            self._limit = size
            self._evict(size)
        if self._limit > self._max_table_size:
            raise HPACKError("the table size was lowered, but the block has no size update")
        return pos

    def _read_literal(self, block: bytes, pos: int, first: int, mask: int) -> tuple[Entry, int]:
        """Read a literal (section 6.2) behind its first octet, with a name index of ``mask``."""
        index = first & mask
        if index == mask:
            index, pos = decode_integer(block, pos, mask)
        if not index:
            octets, pos = _read_string(block, pos)
            name = decode_text(octets)
            size = len(octets)
        else:
            name = (STATIC_TABLE[index] if index <= STATIC_LENGTH else self._entry(index))[0][0]
            size = len(name) if name.isascii() else len(encode_text(name))
        octets, pos = _read_string(block, pos)
        return ((name, decode_text(octets)), size + len(octets) + ENTRY_OVERHEAD), pos

    def _entry(self, index: int) -> Entry:
        """Return an entry of the dynamic table (section 2.3.3)."""
        if STATIC_LENGTH < index <= STATIC_LENGTH + len(self._dynamic):
            return self._dynamic[index - STATIC_LENGTH - 1]
        raise HPACKError(f"there is no field of index {index}")

    def _insert(self, entry: Entry) -> None:
        """Add the newest entry; one larger than the table leaves it empty (section 4.4)."""
        self._cache.clear()
        size = entry[1]
        self._evict(self._limit - size)
        if size <= self._limit:
            self._dynamic.appendleft(entry)
            self._size += size

    def _evict(self, room: int) -> None:
        """Drop the oldest entries until at most ``room`` octets are used (sections 4.3, 4.4)."""
        self._cache.clear()
        while self._size > room and self._dynamic:
            self._size -= self._dynamic.pop()[1]


def _read_string(block: bytes, pos: int) -> tuple[bytes, int]:
    """Return the octets of a string literal and the position behind it (section 5.2)."""
    if pos >= len(block):
        raise HPACKError("a field is cut short")
    first = block[pos]
    pos += 1
    length = first & 0x7F
    if length == 0x7F:
        length, pos = decode_integer(block, pos, 0x7F)
    end = pos + length
    if end > len(block):
        raise HPACKError("a string is longer than the block")
    octets = block[pos:end]
    if first < _HUFFMAN:
        return octets, end
    try:
        return huffman.decode(octets), end
    except huffman.HuffmanError as error:
        raise HPACKError(str(error)) from error


# RFC 7541 section 7.1.3: a value that an attacker can guess by watching the size of blocks
# must not be indexed.  A long cookie has too many possible values to be guessed whole.
_SECRETS = frozenset({"authorization", "proxy-authorization", "set-cookie"})
_MIN_INDEXED_COOKIE = 20

# Fields whose value seldom repeats: in the table, they would only push out those that do.
_VOLATILE = frozenset(
    {
        ":path",
        "age",
        "content-length",
        "content-range",
        "etag",
        "expires",
        "if-modified-since",
        "if-none-match",
        "last-modified",
        "location",
        "range",
    }
)

_INDEXED_OCTETS = [encode_integer(index, 7, _INDEXED) for index in range(256)]


class Encoder:
    """Turns field lists into the header blocks of one direction.

    ``max_table_size``: octets of dynamic table that we are willing to keep, whatever the
    peer offers.
    """

    __slots__ = (
        "_cache",
        "_dynamic",
        "_inserted",
        "_limit",
        "_literals",
        "_max_table_size",
        "_names",
        "_size",
        "_smallest",
        "_target",
    )

    def __init__(self, *, max_table_size: int = DEFAULT_TABLE_SIZE) -> None:
        self._max_table_size = max_table_size
        # Entries by field, the oldest first, each with its number: entry n was the n-th to
        # be inserted, so its index is counted back from the newest.
        self._dynamic: OrderedDict[Field, tuple[int, int]] = OrderedDict()
        self._names: dict[str, int] = {}
        self._inserted = 0
        self._size = 0
        self._limit = DEFAULT_TABLE_SIZE
        self._smallest = self._target = min(max_table_size, DEFAULT_TABLE_SIZE)
        self._cache: dict[tuple[Field, ...], bytes] = {}
        self._literals: dict[Field, bytes] = {}

    def set_peer_table_size(self, size: int) -> None:
        """Obey the peer's SETTINGS_HEADER_TABLE_SIZE from the next block on."""
        self._target = min(size, self._max_table_size)
        self._smallest = min(self._smallest, self._target)
        self._cache.clear()

    def encode(self, headers: Iterable[Field]) -> bytes:
        """Return the header block for ``headers``, whose names are in lower case.

        Raises UnicodeEncodeError for text that ``headers.encode`` does not take; then the
        table has not changed.
        """
        fields = tuple(headers)
        block = self._cache.get(fields)
        return self._encode(fields) if block is None else block

    def _encode(self, fields: tuple[Field, ...]) -> bytes:
        encode_text("".join(map("".join, fields)))  # raises before the table changes
        parts = [self._size_updates()]
        inserted = self._inserted
        for field in fields:
            octets = _STATIC_OCTETS.get(field) or self._literals.get(field)
            if octets is None:
                entry = self._dynamic.get(field)
                octets = self._literal(field) if entry is None else self._index(entry[0])
            parts.append(octets)
        block = b"".join(parts)
        if inserted == self._inserted and not parts[0] and len(block) <= _CACHED_BLOCK_SIZE:
            if len(self._cache) >= _CACHED_BLOCKS:
                self._cache.clear()
            self._cache[fields] = block
        return block

    def _index(self, number: int) -> bytes:
        """Return the indexed representation (section 6.1) of a dynamic entry."""
        index = STATIC_LENGTH + self._inserted - number
        return _INDEXED_OCTETS[index] if index < 256 else encode_integer(index, 7, _INDEXED)

    def _literal(self, field: Field) -> bytes:
        """Return a literal (section 6.2), and insert it into the table if it may repeat."""
        name, value = field
        value_octets = encode_text(value)
        if name in _SECRETS or (name == "cookie" and len(value_octets) < _MIN_INDEXED_COOKIE):
            return self._keep(field, _literal(name, value_octets, 4, _NEVER_INDEXED))
        size = len(encode_text(name)) + len(value_octets) + ENTRY_OVERHEAD
        # An entry that pushes out most of the table is not worth it.
        if name in _VOLATILE or size > self._limit * 3 // 4:
            return self._keep(field, _literal(name, value_octets, 4, _NOT_INDEXED))
        number = self._names.get(name)
        if number is None:
            octets = _literal(name, value_octets, 6, _INCREMENTAL)
        else:
            index = STATIC_LENGTH + self._inserted - number
            octets = encode_integer(index, 6, _INCREMENTAL) + _string(value_octets)
        self._insert(field, size)
        return octets

    def _keep(self, field: Field, octets: bytes) -> bytes:
        """Remember a literal that does not depend on the dynamic table."""
        if len(octets) <= _CACHED_BLOCK_SIZE:
            if len(self._literals) >= _CACHED_BLOCKS:
                self._literals.clear()
            self._literals[field] = octets
        return octets

    def _insert(self, field: Field, size: int) -> None:
        self._cache.clear()
        self._evict(self._limit - size)
        self._dynamic[field] = (self._inserted, size)
        if field[0] not in STATIC_NAMES:
            self._names[field[0]] = self._inserted
        self._inserted += 1
        self._size += size

    def _evict(self, room: int) -> None:
        """Drop the oldest entries until at most ``room`` octets are used (sections 4.3, 4.4)."""
        dynamic = self._dynamic
        while self._size > room and dynamic:
            field, (number, size) = dynamic.popitem(last=False)
            self._size -= size
            if self._names.get(field[0]) == number:
                del self._names[field[0]]

    def _size_updates(self) -> bytes:
        """Return the size updates that are due, and apply them (section 4.2)."""
        if self._smallest == self._target == self._limit:
            return b""
        smallest, self._smallest, self._limit = self._smallest, self._target, self._target
        self._evict(smallest)
        octets = encode_integer(self._target, 5, _SIZE_UPDATE)
        if smallest < self._target:
            octets = encode_integer(smallest, 5, _SIZE_UPDATE) + octets
        return octets


def _literal(name: str, value: bytes, prefix: int, kind: int) -> bytes:
    """Return a literal with a name of the static table or spelt out (section 6.2)."""
    index = STATIC_NAMES.get(name)
    if index is not None:
        return encode_integer(index, prefix, kind) + _string(value)
    return bytes((kind,)) + _string(encode_text(name)) + _string(value)


def _string(octets: bytes) -> bytes:
    """Return a string literal, Huffman-coded when that is shorter (section 5.2)."""
    coded = huffman.encode(octets)
    if len(coded) < len(octets):
        return encode_integer(len(coded), 7, _HUFFMAN) + coded
    return encode_integer(len(octets), 7, 0) + octets


_STATIC_OCTETS = {field: _INDEXED_OCTETS[index] for field, index in STATIC_INDEXES.items()}
