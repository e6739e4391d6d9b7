"""The grammar of HTTP/1.1 messages as compiled regular expressions.

Each expression stands under the ABNF that it implements (RFC 9110, 9112 and 3986).
They work on text that was decoded once for a whole head (see ``headers.decode``), so an
byte outside ASCII is a character outside ASCII and matches only where ``obs-text`` may.

All of them are linear: repeated groups are possessive, or cannot match the same text in
two ways.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import Final

from plait_engine.headers import TOKEN_CHARS
from plait_engine.semantics.targets import PATH_CHARS, QUERY

# RFC 9110 section 5.5, narrowed as in ``headers``: any character but controls; HTAB is
# allowed, and obs-text (what is not ASCII) too.
_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]"

# RFC 9112 section 3: request-line = method SP request-target SP HTTP-version
# In each of its forms a target is of the characters of a path and a query.
match_request_line: Final = re.compile(
    rf"([{TOKEN_CHARS}]+) ([{PATH_CHARS}]++{QUERY}) HTTP/1\.([0-9])"
).fullmatch

# RFC 9112 section 2.3: HTTP-version = HTTP-name "/" DIGIT "." DIGIT
match_version: Final = re.compile(r"HTTP/([0-9])\.([0-9])").fullmatch

# RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
# A client may accept the line without the last SP; some servers forget it.
match_status_line: Final = re.compile(
    rf"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: ({_VALUE}*+))?"
).fullmatch

# What may become a status line, byte by byte up to what follows the status code.
_STATUS_LINE = [*map(re.escape, "HTTP/1."), "[0-9]", " ", "[1-9]", "[0-9]", "[0-9]", "[ \r\n]"]
match_status_line_start: Final = re.compile(
    reduce(lambda rest, part: f"(?:{part}{rest})?", reversed(_STATUS_LINE), "").encode()
).fullmatch
STATUS_LINE_START: Final = len(_STATUS_LINE)

# RFC 9112 section 5.2: obs-fold = OWS CRLF RWS (only in responses, as one SP, also several of
# them with nothing between).  It begins where white space does: to try at each space of a run
# would cost the square of its length.
replace_obs_fold: Final = re.compile(rb"(?<![ \t])[ \t]*+(?:\r\n[ \t]++)++").sub

# RFC 9110 section 8.6: Content-Length = 1*DIGIT, here without leading zeros, which some
# recipients read as octal.  More than 18 digits are no size.
match_strict_content_length: Final = re.compile(r"0|[1-9][0-9]{0,17}").fullmatch

# RFC 9112 section 3.2.2: absolute-form = absolute-URI, with the two schemes of HTTP.
match_absolute_form: Final = re.compile(
    r"(https?)://([^/?]*+)(/[^?]*+)?(\?.*+)?", re.IGNORECASE | re.ASCII
).fullmatch

# RFC 9112 section 7.1: chunk = chunk-size [ chunk-ext ] CRLF ..., chunk-size = 1*HEXDIG
# Section 7.1.1: chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
match_chunk_line: Final = re.compile(
    rf"([0-9A-Fa-f]{{1,16}})"
    rf"(?:[ \t]*+;[ \t]*+[{TOKEN_CHARS}]++(?:[ \t]*+=[ \t]*+(?:[{TOKEN_CHARS}]++|{_QUOTED}))?+)*+".encode(
        "latin-1"
    )
).fullmatch

# What a sender may put into a request-target: visible ASCII, as given (RFC 9112 3.2).
match_target: Final = re.compile(r"[\x21\x22\x24-\x7e]+").fullmatch

TCHARS: Final = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""The bytes a method may begin with; anything else is refused at the first byte."""
