"""Responses as they are sent. What they say is compared with the managed runtime in conformance/sections/responses.py."""

import json

from conftest import PlayFunction


def test_a_response_larger_than_a_network_buffer_is_whole(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context): return ['é' * 1000] * 2000"}, events=[{}])
    assert run.response == ["é" * 1000] * 2000
    assert run.answers["rid-1"].header("content-length") == str(len(run.answers["rid-1"].body))


def test_texts_of_every_length_are_escaped_at_every_place(play: PlayFunction) -> None:
    """Texts are looked at in blocks: of each width of a str, up to beyond the second block."""
    texts = [
        base * place + character + base * (length - place - 1)
        for base in "aéĀ😀"
        for character in ['"', "\\", "\n", "\x00", "\x1f", "\x7f", "\x80", "é", "北", "😀"]
        for length in range(1, 36)
        for place in range(length)
    ]
    run = play({"app.py": "def handler(event, context): return event"}, events=[texts])
    assert run.answers["rid-1"].body.decode() == json.dumps(texts, ensure_ascii=False)
