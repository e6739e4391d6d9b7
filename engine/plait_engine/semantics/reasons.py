"""Reason phrases of statuses (RFC 9110 section 15).

They are the standard library's, which programs have in ``http.HTTPStatus`` too.  Before Python
3.13 four of them (413, 414, 416, 422) are those that RFC 9110 has renamed.  A phrase is for
people; no program may look at it (RFC 9112 section 4).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

REASONS: Final = {int(status): status.phrase for status in HTTPStatus}
