"""Damage to octets by chance, the same for the same seed: for torture and fuzzing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_MARKS = (
    *(bytes([octet]) for octet in b"\r\n\t \"<>;,:=\\\0\xff%@[]?&/+*-'(){}|~"),
    b"\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b"SIP/2.0",
    b"sip:",
    b"sips:[::1]",
    b"Content-Length: 99999999999999999999",
    b";tag=",
    b"z9hG4bK",
    b"4294967296",
    b"-1",
    b"%00",
    "😀".encode(),
    b"\xed\xa0\x80",
    b'"' * 50,
    b";" * 200,
    b"<" * 100,
    b"a" * 9000,
)
_MOST_DAMAGES = 4


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the seeds with one to four places damaged.

    Octets are changed, taken out, doubled, moved, cut off, or replaced by what a grammar stumbles over.
    """
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, _MOST_DAMAGES)):
        _damage(data, seeds, chance)
    return bytes(data)


def mutations(seeds: Sequence[bytes], *, seed: int) -> Iterator[bytes]:
    """Damaged seeds without end."""
    chance = random.Random(seed)
    while True:
        yield mutated(seeds, chance)


def _damage(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((1, 1, 2, 4, 16, 100)))
    match chance.randrange(8):
        case 0:
            data[start:end] = chance.randbytes(end - start)
        case 1:
            del data[start:end]
        case 2:
            data[start:start] = data[start:end] * chance.choice((1, 2, 30))
        case 3:
            data[start:end] = chance.choice(_MARKS)
        case 4:
            data[start:start] = chance.choice(_MARKS)
        case 5:
            del data[start:]
        case 6:
            _swap_lines(data, chance)
        case _:
            other = chance.choice(seeds)
            place = chance.randrange(len(other) + 1)
            data[start:end] = other[place : place + 40]


def _swap_lines(data: bytearray, chance: random.Random) -> None:
    lines = bytes(data).split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    data[:] = b"\r\n".join(lines)
