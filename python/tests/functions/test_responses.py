"""Responses as they are sent. What they say is compared with the managed runtime in conformance/sections/responses.py."""

from conftest import PlayFunction


def test_a_response_larger_than_a_network_buffer_is_whole(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context): return ['é' * 1000] * 2000"}, events=[{}])
    assert run.response == ["é" * 1000] * 2000
    assert run.answers["rid-1"].header("content-length") == str(len(run.answers["rid-1"].body))
