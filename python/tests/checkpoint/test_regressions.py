"""Errors of restored processes that were found late, because each needs an unlucky address, number or moment."""

import re
from pathlib import Path

import pytest

from checkpoint.conftest import KINDS, Checkpointed, FromCheckpoint, Kind, Start, is_restored

ECHO = "def handler(event, context): return event\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_process_unmaps_only_what_it_has_mapped(
    checkpointed: Checkpointed, start: Start, tmp_path: Path, kind: Kind
) -> None:
    """Anywhere else the kernel may have put the vDSO or the stack."""
    calls = tmp_path / "calls"
    packed = checkpointed({"app.py": ECHO}, kind)
    run = start(packed, before=["strace", "-f", "-e", "trace=mmap,munmap", "-o", str(calls)])
    assert is_restored(run)
    assert run.responses == [{}]
    mapped: list[range] = []
    unmapped = 0
    for line in calls.read_text().splitlines():
        if made := re.search(r"mmap\(.*?, (\d+), .* = 0x([0-9a-f]+)", line):
            length, address = int(made[1]), int(made[2], 16)
            mapped.append(range(address, address + length))
        elif gone := re.search(r"munmap\(0x([0-9a-f]+), (\d+)\)", line):
            unmapped += 1
            address = int(gone[1], 16)
            assert any(address in one for one in mapped), f"unmaps what it has not mapped: {line}"
    assert mapped
    assert unmapped


@pytest.mark.parametrize("kind", KINDS)
def test_inherited_descriptors_stay_open(from_checkpoint: FromCheckpoint, tmp_path: Path, kind: Kind) -> None:
    """The dump has files of its own open, with the same numbers."""
    inherited = tmp_path / "inherited"
    inherited.touch()
    app = """
        import os
        def handler(event, context):
            links = {number: os.readlink(f"/proc/self/fd/{number}") for number in range(3, 10)}
            return [number for number, target in links.items() if target.endswith("/inherited")]
    """
    redirections = " ".join(f"{number}<{inherited}" for number in range(3, 10))
    run = from_checkpoint(app, kind, before=["sh", "-c", f'env -u PWD -u OLDPWD -u _ "$@" {redirections}; exit $?', "sh"])
    assert run.response == [*range(3, 10)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_that_is_not_utf_8_is_compared_by_its_bytes(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    app = """
        import os
        copied = dict(os.environ)
        def handler(event, context): return [ascii(copied["SETTING"]), list(os.environb[b"SETTING"])]
    """
    run = from_checkpoint(app, kind, environment={"SETTING": b"caf\xe9"})
    assert run.response == [r"'caf\udce9'", [*b"caf\xe9"]]


def test_four_threads_at_import_and_in_the_handler(from_checkpoint: FromCheckpoint) -> None:
    """Each thread has an arena of `malloc`, and the kernel may have merged one with the dump's own memory."""
    app = """
        import threading

        def work(kept):
            kept.extend(bytes(number) for number in range(600, 3000, 7))

        def four():
            kept = [[] for _ in range(4)]
            threads = [threading.Thread(target=work, args=[one]) for one in kept]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            return kept

        at_import = four()
        def handler(event, context):
            now = four()
            return [sum(map(len, one)) for one in (*at_import, *now)] == [sum(range(600, 3000, 7))] * 8
    """
    assert from_checkpoint(app, events=[1, 2, 3]).responses == [True] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_heap_goes_on_where_memory_was_used_up(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    """The process's break is at another address than when it was dumped."""
    app = """
        import gc, resource
        at_import = [bytes(60_000) for _ in range(50)]

        def handler(event, context):
            size = int(open("/proc/self/statm").read().split()[0]) * 4096 + (20 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (size, -1))
            kept = []
            try:
                while True: kept.append(bytearray(60_000))
            except MemoryError:
                count = len(kept)
                kept.clear()
            gc.collect()
            again = [bytearray(60_000) for _ in range(count // 2)]
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            return [count > 100, len(again) == count // 2, {len(one) for one in at_import} == {60_000}]
    """
    assert from_checkpoint(app, kind, events=[1, 2, 3]).responses == [[True, True, True]] * 3


def test_a_thread_that_its_library_starts_again_is_no_obstacle(from_checkpoint: FromCheckpoint) -> None:
    """Sentry's monitor and its sender of sessions start again when they see another process id."""
    monitor = """
        import threading, time
        def run(): time.sleep(1000)
        threading.Thread(target=run, daemon=True).start()
    """
    app = "import sentry_sdk.monitor, threading\ndef handler(event, context): return threading.active_count()\n"
    run = from_checkpoint(
        app, files={"sentry_sdk/__init__.py": "def get_client(): return None", "sentry_sdk/monitor.py": monitor}
    )
    assert run.response == 1
