import numpy as np

from tuner_sipbridge.media.messages import Clear, Finish, Message, Play, Unpacker, pack


def test_batches_survive_any_cut():
    batches: list[list[Message]] = [[Play(1, b"\xff" * 1000, "a"), Finish(1, "a")], [], [Clear(2)]]
    stream = b"".join(pack(batch) for batch in batches)
    for cut in (1, 3, 7, 500, len(stream)):
        unpacker = Unpacker()
        got = [m for at in range(0, len(stream), cut) for m in unpacker.feed(stream[at : at + cut])]
        assert got == [message for batch in batches for message in batch]


def test_large_payload_is_whole():
    payload = np.random.default_rng(1).bytes(3_000_000)
    unpacker = Unpacker()
    stream = pack([Play(1, payload, "")])
    got = [m for at in range(0, len(stream), 1 << 18) for m in unpacker.feed(stream[at : at + (1 << 18)])]
    assert got == [Play(1, payload, "")]
