"""HPACK, the header compression of HTTP/2 (RFC 7541): ``Decoder`` and ``Encoder``.

Strategy
--------
Each direction of a connection has a dynamic table of recent fields, which the encoder
fills and the decoder mirrors; an index refers to it or to the static table.  What makes
it cheap here is that most header blocks repeat: after the first request of a kind, all
its fields are indexes, and the bytes of the block are the same each time.  So both
directions keep the last few blocks whole, for as long as the dynamic table does not
change, and a repeated block costs one dictionary look-up.  There are encoders that never
look into the dynamic table and yet fill it (nginx's): their blocks mean the same whatever
is in it, so the decoder keeps those for good, with the entries that they insert.

What is sent or came as never-indexed (section 7.1.3) is not kept, nor is a block that has it.
So these memories hold nothing secret but what the peer put into the dynamic table itself.

Where only the target differs, what follows ``:path`` is the same indexes each time, so the
decoder keeps those as it keeps blocks.  And what a Huffman code means is kept for all
connections, since finding out takes a step for each byte: of names that are spelt out, and of
fields whose name is one of the static table and no credential's, unless the peer said
never-indexed (or not indexed, of a name that takes a second byte: those are said to differ).

An entry that is never used costs both sides an insertion, pushes out others and empties these
memories.  So the encoder watches what becomes of its entries, name by name: the values of a
request id soon stay out of the table, until one comes twice in a row; and so do those of a
referrer, of which few are used again before they are pushed out.

What enters no table is sent without Huffman's code: that takes a step for each byte, each time,
to save a quarter of them.

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
A field list ends at ``max_header_list_size`` and at ``max_fields``: a one-byte index may
stand for a field of 4 KiB, or for a crumb that costs 100 times its byte in memory.
Both directions are linear in the bytes and fields, and all caches are bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from plait_engine.headers import encode as encode_text
from plait_engine.semantics.cache import FieldCache, keep, names_credentials

from .errors import HPACKError
from .hpack_primitives import (
    HUFFMAN,
    INCREMENTAL,
    INDEXED,
    LONG_HUFFMAN,
    NEVER_INDEXED,
    NOT_INDEXED,
    SIZE_UPDATE,
    decode_integer,
    encode_integer,
    encode_plain_text,
    encode_string,
    read_string,
)
from .hpack_tables import (
    ENTRY_OVERHEAD,
    STATIC_INDEXES,
    STATIC_LENGTH,
    STATIC_NAMES,
    STATIC_TABLE,
    Entry,
    Field,
)

__all__ = ["DEFAULT_TABLE_SIZE", "Decoder", "Encoder", "HPACKError", "HeaderListTooLarge"]

DEFAULT_TABLE_SIZE = 4096
"""SETTINGS_HEADER_TABLE_SIZE before any SETTINGS (RFC 9113 section 6.5.2)."""

# What a connection remembers at most.  Blocks above the size are rare and cost memory.
_CACHED_BLOCKS = 64
_CACHED_FIELDS = 256
_CACHED_BLOCK_SIZE = 1024
_CACHED_NAME_SIZE = 64

_PATH_INDEXES: Final = (4, 5)  # of the static table

_NEWEST: Final = STATIC_LENGTH + 1  # the index of the newest entry

_MAX_SIZE_UPDATES = 2  # RFC 7541 section 4.2: the smallest in between, and the final one


_STATIC_STARTS: Final = [
    (field[0], len(field[0]), field[0] != "" and not names_credentials(field[0]))
    for field, _ in STATIC_TABLE
]
"""Names by index: their text, their size, and whether ``_entries`` may have what a field says."""

_entries: Final[FieldCache[bytes, Entry]] = FieldCache()
"""What literals mean whose value is Huffman-coded, by their bytes."""

_names: Final[dict[bytes, tuple[str, int]]] = {}
"""The text and the size of names that are spelt out, by their literals; the last few."""


class HeaderListTooLarge(Exception):
    """The fields of a block exceed a limit.  The table is in sync, the next block decodes."""


class Decoder:
    """Turns the header blocks of one direction into field lists.

    ``max_table_size``: bytes of the dynamic table; a property, see there.
    ``max_header_list_size``: bytes of a field list, with 32 more for each field (RFC 9113
    section 6.5.2).
    ``max_fields``: fields of a list, pseudo-header fields included.
    """

    __slots__ = (
        "_cache",
        "_limit",
        "_max_fields",
        "_max_header_list_size",
        "_max_table_size",
        "_self_contained",
        "_size",
        "_smallest",
        "_table",
        "_tails",
        "saw_secrets",
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
        # The one index space (section 2.3.3): the static table, then the dynamic one, whose
        # newest entry is the first.
        self._table = STATIC_TABLE.copy()
        self._size = 0
        self._limit = max_table_size  # what the encoder chose
        self._smallest = max_table_size  # the least that it was allowed since it last chose
        self.saw_secrets = False
        """The last block that was decoded, and not looked up, had a never-indexed field."""
        # Until the table changes: fields of blocks; of the ends of blocks, with their size.
        self._cache: dict[bytes, list[Field]] = {}
        self._tails: dict[bytes, tuple[list[Field], int]] = {}
        self._self_contained: dict[bytes, tuple[list[Field], list[Entry], int]] = {}

    @property
    def max_table_size(self) -> int:
        """The SETTINGS_HEADER_TABLE_SIZE that the peer has acknowledged.

        Setting it below what the encoder uses makes a size update at the start of the next
        block mandatory, even when it was raised again before (RFC 7541 section 4.2).
        """
        return self._max_table_size

    @max_table_size.setter
    def max_table_size(self, size: int) -> None:
        self._max_table_size = size
        self._smallest = min(self._smallest, size)
        self._forget()  # a cached block does not begin with the update

    def decode(self, block: bytes) -> list[Field]:
        """Return the fields of ``block``, a complete header block.

        Where it can, the same list is returned for the same block: callers may key on its
        identity and must not change it.  Raises HPACKError, and HeaderListTooLarge after the
        block was processed.
        """
        fields = self._cache.get(block)
        return self._decode(block) if fields is None else fields

    def _decode(self, block: bytes) -> list[Field]:
        pos = 0
        cacheable = len(block) <= _CACHED_BLOCK_SIZE
        self.saw_secrets = False
        if self._smallest < self._limit or (block and block[0] & 0xE0 == SIZE_UPDATE):
            pos = self._read_size_updates(block)
            cacheable = False
        elif block in self._self_contained:
            fields, inserted, size = self._self_contained[block]
            self._insert_all(inserted, size)
            return fields
        fields, inserted, self_contained = self._decode_fields(block, pos)
        if cacheable and not self.saw_secrets:
            if not inserted:
                keep(self._cache, block, fields, _CACHED_BLOCKS)
            elif self_contained:
                size = sum(entry[1] for entry in inserted)
                keep(self._self_contained, block, (fields, inserted, size), _CACHED_BLOCKS)
        return fields

    def _decode_fields(self, block: bytes, pos: int) -> tuple[list[Field], list[Entry], bool]:
        """Decode from ``pos`` to the end of ``block``.

        Return the fields, the entries inserted, and whether they depend on nothing in the
        dynamic table.

        The short path for a target that differs: the indexes behind ``:path`` are looked up at
        once.
        """
        fields: list[Field] = []
        inserted: list[Entry] = []
        self_contained = True
        room = self._max_header_list_size
        max_fields = self._max_fields
        table = self._table
        known_entry = _entries.entries.get
        end = tail_start = len(block)
        before = room_before = 0  # the fields in front of the tail, and the room for it
        while pos < end:
            first = block[pos]
            pos += 1
            if first >= INDEXED:
                index = first & 0x7F
                if index == 0x7F:
                    index, pos = decode_integer(block, pos, 0x7F)
                if not 0 < index < len(table):
                    raise HPACKError(f"there is no field of index {index}")
                entry = table[index]
                if index > STATIC_LENGTH:
                    self_contained = False
            elif first >= INCREMENTAL or first < SIZE_UPDATE:
                length = block[pos] if pos < end else 0
                # What is kept is the bytes of a whole literal, so these can be nothing else.
                after = pos + 1 + length - HUFFMAN
                known = known_entry(block[pos - 1 : after]) if length >= HUFFMAN else None
                mask = 0x3F if first >= INCREMENTAL else 0x0F
                if known is None:
                    entry, pos = self._read_literal(block, pos, first, mask)
                else:
                    entry, pos = known, after
                index = first & mask
                if first >= INCREMENTAL:
                    if self._limit:  # An encoder that keeps no table may still ask: nginx does.
                        self._insert(entry)
                        if room >= 0:
                            inserted.append(entry)
                    if index > STATIC_LENGTH:
                        self_contained = False
                else:
                    if first >= NEVER_INDEXED:
                        self.saw_secrets = True
                    if index == mask:
                        self_contained = False  # it may be: the index is in the bytes behind
                    tail_start = end
                    if index in _PATH_INDEXES and end - pos <= _CACHED_BLOCK_SIZE:
                        tail, size = self._tails.get(block[pos:], _NO_TAIL)
                        if (
                            tail
                            and size + entry[1] <= room
                            and len(fields) + len(tail) < max_fields
                        ):
                            fields.append(entry[0])
                            fields += tail
                            return fields, inserted, False
                        tail_start, before, room_before = pos, len(fields) + 1, room - entry[1]
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
                f"a field list exceeds {max_fields} fields or {self._max_header_list_size} bytes"
            )
        if tail_start < end and not inserted:
            keep(
                self._tails,
                block[tail_start:],
                (fields[before:], room_before - room),
                _CACHED_BLOCKS,
            )
        return fields, inserted, self_contained

    def _read_size_updates(self, block: bytes) -> int:
        """Apply the size updates at the start and return the position behind them."""
        pos = updates = 0
        smallest = self._limit
        while pos < len(block) and block[pos] & 0xE0 == SIZE_UPDATE:
            updates += 1
            size = block[pos] & 0x1F
            pos += 1
            if size == 0x1F:
                size, pos = decode_integer(block, pos, 0x1F)
            if size > self._max_table_size:
                raise HPACKError(f"table size {size} exceeds {self._max_table_size}")
            if updates > _MAX_SIZE_UPDATES:
                raise HPACKError("more than two table size updates in a block")
            smallest = min(smallest, size)
            self._limit = size
            self._forget()
            self._evict(size)
        if smallest > self._smallest:
            raise HPACKError("the table size was lowered, but the block has no such update")
        self._smallest = self._max_table_size
        return pos

    def _read_literal(self, block: bytes, pos: int, first: int, mask: int) -> tuple[Entry, int]:
        """Read a literal (section 6.2) behind its first byte, with a name index of ``mask``."""
        start = pos - 1
        index = first & mask
        is_kept = False
        if index == mask:
            index, pos = decode_integer(block, pos, mask)
        elif index <= STATIC_LENGTH and pos < len(block):
            is_coded = HUFFMAN <= block[pos] < LONG_HUFFMAN
            is_kept = is_coded and _STATIC_STARTS[index][2] and first & 0xF0 != NEVER_INDEXED
        if not index:
            name, size, pos = _read_name(block, pos)
        elif index <= STATIC_LENGTH:
            name, size, _ = _STATIC_STARTS[index]
        elif index < len(self._table):
            name = self._table[index][0][0]
            size = len(name) if name.isascii() else len(encode_text(name))
        else:
            raise HPACKError(f"there is no field of index {index}")
        value, value_size, pos = read_string(block, pos)
        entry = ((name, value), size + value_size + ENTRY_OVERHEAD)
        if is_kept:
            _entries.add(block[start:pos], entry, pos - start)
        return entry, pos

    def _insert(self, entry: Entry) -> None:
        """Add the newest entry; one larger than the table leaves it empty (section 4.4)."""
        if self._cache or self._tails:
            self._forget()
        size = entry[1]
        if self._size + size > self._limit:
            self._evict(self._limit - size)
        if size <= self._limit:
            self._table.insert(_NEWEST, entry)
            self._size += size

    def _insert_all(self, entries: list[Entry], size: int) -> None:
        """Add entries of ``size`` bytes, the newest last: short path of ``_insert`` for each."""
        if size > self._limit:
            for entry in entries:
                self._insert(entry)
            return
        self._forget()
        self._evict(self._limit - size)
        self._table[_NEWEST:_NEWEST] = entries[::-1]
        self._size += size

    def _evict(self, room: int) -> None:
        """Drop the oldest entries until at most ``room`` bytes are used (sections 4.3, 4.4)."""
        room = max(room, 0)
        while self._size > room:
            self._size -= self._table.pop()[1]

    def _forget(self) -> None:
        """Drop what was remembered of a table that has changed."""
        self._cache.clear()
        self._tails.clear()


def _read_name(block: bytes, pos: int) -> tuple[str, int, int]:
    """Read a name that is spelt out as ``read_string`` does, and remember it."""
    end = pos + 1 + (block[pos] & 0x7F) if pos < len(block) else pos
    literal = block[pos:end]
    known = _names.get(literal)
    if known is None:
        name, size, end = read_string(block, pos)
        if len(literal) <= _CACHED_NAME_SIZE:
            keep(_names, literal, (name, size), _CACHED_BLOCKS)
        return name, size, end
    return *known, end


_NO_TAIL: Final[tuple[list[Field], int]] = ([], 0)

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

# An entry pays when its field comes again.  Of a name whose last entries were all in vain (a
# request id, a referrer), a value enters the table only when it comes twice in a row.
# One that is used makes up for two that were not.
_MANY_UNUSED: Final = 8
_USE_PAYS_FOR: Final = 2
_NO_ENTRIES: Final = (0, 0)
_OBSERVED_NAMES: Final = 64

_INDEXED_BYTES = [encode_integer(index, 7, INDEXED) for index in range(256)]
_STATIC_BYTES = {field: _INDEXED_BYTES[index] for field, index in STATIC_INDEXES.items()}
_STATIC_PATHS = {value: data for (name, value), data in _STATIC_BYTES.items() if name == ":path"}
_KIND_BYTES = {kind: bytes((kind,)) for kind in (INCREMENTAL, NEVER_INDEXED, NOT_INDEXED)}

_spelt_names: Final[dict[str, bytes]] = {}
"""String literals of names that are spelt out; the last few, of all connections."""


class Encoder:
    """Turns field lists into the header blocks of one direction.

    ``max_table_size``: bytes of dynamic table that we are willing to keep, whatever the
    peer offers.
    """

    __slots__ = (
        "_blocks",
        "_dynamic",
        "_inserted",
        "_known",
        "_limit",
        "_max_table_size",
        "_names",
        "_resizes",
        "_size",
        "_smallest",
        "_target",
        "_unkept",
        "_unused",
    )

    def __init__(self, *, max_table_size: int = DEFAULT_TABLE_SIZE) -> None:
        self._max_table_size = max_table_size
        # The dynamic table: field to (number, size, was it used), the oldest first.  Entry n was
        # the n-th to be inserted, so its index is counted back from the newest.
        self._dynamic: OrderedDict[Field, tuple[int, int, bool]] = OrderedDict()
        self._names: dict[str, int] = {}  # the newest entry of names that are not static
        self._inserted = 0
        self._unkept = 0  # fields that are not remembered, so far
        self._size = 0
        # Its size, and what the next block announces: the smallest size since the last block,
        # and the final one.
        self._limit = DEFAULT_TABLE_SIZE
        self._smallest = self._target = min(max_table_size, DEFAULT_TABLE_SIZE)
        self._resizes = self._target != self._limit
        # Bytes of whole blocks and of single fields, until the table changes.
        self._blocks: dict[tuple[Field, ...], bytes] = {}
        self._known: dict[Field, bytes] = {}
        # By name: how many entries were in vain, and the hash of the last value.
        self._unused: dict[str, tuple[int, int]] = {}

    def set_peer_table_size(self, size: int) -> None:
        """Obey the peer's SETTINGS_HEADER_TABLE_SIZE from the next block on."""
        self._target = min(size, self._max_table_size)
        self._smallest = min(self._smallest, self._target)
        self._resizes = self._resizes or not self._smallest == self._target == self._limit
        self._forget()

    def encode(self, headers: Iterable[Field]) -> bytes:
        """Return the header block for ``headers``, whose names are in lower case.

        Raises UnicodeEncodeError for text that ``headers.encode`` does not take; the next
        block then starts with an empty table, so nothing is out of step.
        """
        fields = tuple(headers)
        block = self._blocks.get(fields)
        return self._encode(fields) if block is None else block

    def encode_request(
        self, before: tuple[Field, ...], target: str, behind: tuple[Field, ...]
    ) -> bytes:
        """Short path of ``encode``: the block of ``before``, ``:path`` and ``behind``.

        It is quicker where nothing but the target differs, for the rest are known blocks.
        Raises as ``encode``.
        """
        path = _STATIC_PATHS.get(target)
        if path is None:
            path = _PATH_START + encode_plain_text(target)
        blocks = self._blocks
        start = blocks.get(before) or self._encode(before)
        return start + path + (blocks.get(behind) or self._encode(behind))

    def _encode(self, fields: tuple[Field, ...]) -> bytes:
        updates = self._size_updates() if self._resizes else b""
        inserted = self._inserted
        unkept = self._unkept
        known = self._known
        try:
            parts = [known.get(field) or self._represent(field) for field in fields]
        except UnicodeEncodeError:
            self._resizes = True
            self._smallest = 0
            self._forget()
            raise
        self._resizes = False
        self._smallest = self._limit
        block = updates + b"".join(parts)
        if (
            inserted == self._inserted
            and unkept == self._unkept
            and not updates
            and len(block) <= _CACHED_BLOCK_SIZE
        ):
            keep(self._blocks, fields, block, _CACHED_BLOCKS)
        return block

    def _represent(self, field: Field) -> bytes:
        """Return the representation of a field (section 6); it may enter the table."""
        data = _STATIC_BYTES.get(field)
        if data is not None:
            return self._remember(field, data)
        if field in self._dynamic:
            return self._remember(field, self._use(field))
        name, value = field
        start = _NEVER_INDEXED_STARTS.get(name)
        if start is not None and not _is_long_cookie(name, value):
            self._unkept += 1
            return start + encode_plain_text(value)
        if name not in _VOLATILE:
            unused, last = self._unused.get(name, _NO_ENTRIES)
            this = hash(value)
            if unused >= _MANY_UNUSED and this != last:
                self._unused[name] = (unused, this)
                self._unkept += 1  # If it comes again, that is to be noticed.
                start = _NOT_INDEXED_STARTS.get(name) or self._start(name, 4, NOT_INDEXED)
                return start + encode_plain_text(value)
            literal = encode_text(value)
            size = len(encode_text(name)) + len(literal) + ENTRY_OVERHEAD
            # An entry that pushes out most of the table is not worth it.
            if size <= self._limit * 3 // 4:
                if len(self._unused) >= _OBSERVED_NAMES:
                    self._unused.clear()
                self._unused[name] = (unused + 1, this)
                return self._insert(field, size) + encode_string(literal)
        return self._remember(field, _name(name, 4, NOT_INDEXED) + encode_plain_text(value))

    def _use(self, field: Field) -> bytes:
        """Return the index of an entry (section 6.1).  Its first use makes up for others."""
        number, size, was_used = self._dynamic[field]
        if not was_used:
            self._dynamic[field] = (number, size, True)
            unused, last = self._unused.get(field[0], _NO_ENTRIES)
            if unused:
                self._unused[field[0]] = (max(unused - _USE_PAYS_FOR, 0), last)
        return encode_integer(self._index(number), 7, INDEXED)

    def _remember(self, field: Field, data: bytes) -> bytes:
        if len(self._known) >= _CACHED_FIELDS:
            self._known.clear()
        if len(data) <= _CACHED_BLOCK_SIZE:
            self._known[field] = data
        return data

    def _start(self, name: str, prefix: int, kind: int) -> bytes:
        """Return the start of a literal, with the index of its name if there is one (6.2)."""
        number = self._names.get(name)
        if number is None:
            return _name(name, prefix, kind)
        return encode_integer(self._index(number), prefix, kind)

    def _index(self, number: int) -> int:
        return STATIC_LENGTH + self._inserted - number

    def _insert(self, field: Field, size: int) -> bytes:
        """Add the newest entry; return the start of the literal that does so (6.2.1)."""
        name = field[0]
        start = self._start(name, 6, INCREMENTAL)
        self._forget()
        self._evict(self._limit - size)
        self._dynamic[field] = (self._inserted, size, False)
        if name not in STATIC_NAMES:
            self._names[name] = self._inserted
        self._inserted += 1
        self._size += size
        return start

    def _evict(self, room: int) -> None:
        """Drop the oldest entries until at most ``room`` bytes are used (sections 4.3, 4.4)."""
        while self._size > room:
            field, (number, size, _) = self._dynamic.popitem(last=False)
            self._size -= size
            if self._names.get(field[0]) == number:
                del self._names[field[0]]

    def _forget(self) -> None:
        """Drop what was remembered of a table that has changed."""
        self._blocks.clear()
        self._known.clear()

    def _size_updates(self) -> bytes:
        """Return the size updates that are due, and apply them (section 4.2)."""
        data = encode_integer(self._target, 5, SIZE_UPDATE)
        if self._smallest < min(self._limit, self._target):
            data = encode_integer(self._smallest, 5, SIZE_UPDATE) + data
        self._evict(self._smallest)
        self._limit = self._target
        return data


def _name(name: str, prefix: int, kind: int) -> bytes:
    """Return the start of a literal: a name of the static table, or spelt out (section 6.2)."""
    index = STATIC_NAMES.get(name)
    if index is not None:
        return encode_integer(index, prefix, kind)
    spelt = _spelt_names.get(name)
    if spelt is None:
        spelt = encode_string(encode_text(name))
        if len(name) <= _CACHED_NAME_SIZE:
            keep(_spelt_names, name, spelt, _CACHED_BLOCKS)
    return _KIND_BYTES[kind] + spelt


_NEVER_INDEXED_STARTS = {name: _name(name, 4, NEVER_INDEXED) for name in (*_SECRETS, "cookie")}
_NOT_INDEXED_STARTS = {name: _name(name, 4, NOT_INDEXED) for name in STATIC_NAMES}
_PATH_START = _NOT_INDEXED_STARTS[":path"]


def _is_long_cookie(name: str, value: str) -> bool:
    return name == "cookie" and len(encode_text(value)) >= _MIN_INDEXED_COOKIE
