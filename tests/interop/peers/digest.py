"""Digest challenges that SIPp sends, and the answers to them computed anew with hashlib alone."""

from __future__ import annotations

import hashlib
import re

USERNAME, PASSWORD = "probe", "s3cret, with comma"


def challenge(nonce: str, *, proxy: bool = False, stale: bool = False) -> tuple[str, ...]:
    """SHA-256 beside MD5 (RFC 8760 §2.4: the strongest that is known is taken)."""
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    more = ", stale=TRUE" if stale else ""
    return tuple(
        f'{name}: Digest realm="sipp, edge", nonce="{nonce}", algorithm={algorithm}, qop="auth"{more}'
        for algorithm in ("SHA-256", "MD5")
    )


def assert_each_digest_is_right(log: str) -> set[str]:
    """Recompute with hashlib alone what SIPp received; gives the methods."""
    methods: set[str] = set()
    numbers: dict[str, list[int]] = {}
    found = re.findall(
        r"\n(\w+) sip:[^\n]* SIP/2\.0\r?\n(?:[^\n]+\n)*?(?:Proxy-)?Authorization: Digest ([^\n]*?)\r?\n", log
    )
    for method, header in found:
        fields = {
            name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,]*))', header)
        }
        assert fields["algorithm"] == "SHA-256"
        numbers.setdefault(fields["nonce"], []).append(int(fields["nc"], 16))
        secret, what = (
            sha256(f"{USERNAME}:sipp, edge:{PASSWORD}"),
            sha256(f"{answered(method)}:{fields['uri']}"),
        )
        wanted = (secret, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], what)
        assert fields["response"] == sha256(":".join(wanted))
        methods.add(method)
    for counted in numbers.values():
        assert sorted(set(counted)) == list(range(1, max(counted) + 1))
    return methods


def answered(method: str) -> str:
    """Whose credentials they are: an ACK has those of its INVITE (§22.1)."""
    return "INVITE" if method == "ACK" else method


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
