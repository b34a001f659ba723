"""Telling a telephone number from the other things that stand in the user part of a SIP URI."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\+?[0-9]{3,15}")
_SEPARATORS = str.maketrans("", "", "-. ()")


def phone_number_of(user: str | None) -> str | None:
    """The number in the user part of a SIP URI, None when it is a name.

    Visual separators go (RFC 3966 §5.1.1); a plus stays. E.164 allows 15 digits; fewer than three are no number.
    """
    bare = (user or "").partition(";")[0].translate(_SEPARATORS)
    return bare if _NUMBER.fullmatch(bare) else None
