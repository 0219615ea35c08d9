"""Checkpoints for other processors than this machine's: made with qemu-user, and restored on this machine.

`../checkpoint_packages/test_other_processors.py` restores such checkpoints on an emulated machine with an older processor.
"""

import os
import platform
from pathlib import Path

import pytest

from checkpoint.conftest import KINDS, Checkpointed, Kind, Pack, Start, is_restored
from checkpoint.image import Image

if platform.machine() != "x86_64":
    pytest.skip("only for x86-64 are there processors to choose from", allow_module_level=True)

APP = """
    import os
    import threading
    seen = sorted(os.environ)

    def handler(event, context):
        thread = threading.Thread(target=print, args=("thread",))
        thread.start()
        thread.join()
        return {"seen": seen, "now": sorted(os.environ), "event": event}
"""

BASIC, EXTENDED, STATES = 0, 2, 8
"""Words of the processor's features."""
AVX, AVX2 = 1 << 28, 1 << 5
AVX_512 = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31
AVX_512_REGISTERS = 0b111 << 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_for_x86_64_v3_needs_no_newer_feature(checkpointed: Checkpointed, start: Start, kind: Kind) -> None:
    packed = checkpointed({"app.py": APP}, kind, "--cpu", "x86-64-v3")
    assert "  processors      x86-64-v3 and newer\n" in packed.stdout + packed.stderr
    image = Image.read(packed.checkpoint)
    assert image.cpu_features(EXTENDED) & (AVX2 | AVX_512) == AVX2
    assert image.cpu_features(STATES) & AVX_512_REGISTERS == 0
    run = start(packed, events=[1, 2])
    assert is_restored(run), run.story()
    assert [answer["event"] for answer in run.responses] == [1, 2]
    assert run.stdout == "thread\nthread\n"


def test_a_checkpoint_for_x86_64_v2_needs_no_avx(checkpointed: Checkpointed, start: Start) -> None:
    packed = checkpointed({"app.py": APP}, "init", "--cpu", "x86-64-v2")
    image = Image.read(packed.checkpoint)
    assert image.cpu_features(BASIC) & AVX == 0
    assert image.cpu_features(EXTENDED) & (AVX2 | AVX_512) == 0
    assert is_restored(start(packed))


def test_the_emulator_leaves_no_variable(checkpointed: Checkpointed, start: Start) -> None:
    emulated, native = (checkpointed({"app.py": APP}, "init", "--cpu", cpu) for cpu in ("x86-64-v3", "native"))
    responses = [start(packed).response for packed in (emulated, native)]
    assert responses[0] == responses[1]


def test_a_checkpoint_with_here_is_for_processors_like_this_one(checkpointed: Checkpointed) -> None:
    packed = checkpointed({"app.py": APP}, "init")
    assert "  processors      those with the features of this machine's" in packed.stdout + packed.stderr


def test_code_that_was_generated_stays_executable(checkpointed: Checkpointed, start: Start) -> None:
    app = """
        import ctypes, mmap
        data = mmap.PROT_READ | mmap.PROT_WRITE
        places = [mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=data) for _ in range(5)]
        addresses = sorted(ctypes.addressof(ctypes.c_char.from_buffer(place)) for place in places)
        functions = []
        # Neighbors with other rights, which the kernel sees as one region when an emulator has them.
        for address, rights in zip(addresses[1:4], (data | mmap.PROT_EXEC, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_EXEC)):
            ctypes.memmove(address, b"\\xb8\\x2a\\x00\\x00\\x00\\xc3", 6)
            assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), 4096, rights) == 0
            if rights & mmap.PROT_EXEC:
                functions.append(ctypes.CFUNCTYPE(ctypes.c_int)(address))
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda value: value + 1)
        assert [function() for function in functions] == [42, 42]

        def handler(event, context):
            return [function() for function in functions] + [callback(1)]
    """
    run = start(checkpointed({"app.py": app}, "init", "--cpu", "x86-64-v3"))
    assert is_restored(run), run.story()
    assert run.response == [42, 42, 2]


def test_a_thread_is_refused_with_an_emulator_as_without(pack: Pack) -> None:
    app = """
        import threading, time
        threading.Thread(target=time.sleep, args=(60,), daemon=True, name="refresher").start()
        def handler(event, context): return event
    """
    packed = pack({"app.py": app}, "init", "--cpu", "x86-64-v3")
    assert packed.exit_code == 2
    assert "threads are running: refresher (" in packed.stderr
    assert "qemu" not in packed.stderr


def test_without_an_emulator_the_packer_says_what_to_do(pack: Pack, tmp_path: Path) -> None:
    packed = pack({"app.py": APP}, "init", "--cpu", "x86-64-v3", environment={"PATH": str(tmp_path)})
    assert packed.exit_code == 2
    assert "whipsnake: a checkpoint for x86-64-v3 needs qemu-x86_64-static, which is not on PATH: install it" in packed.stderr
    assert "or use --cpu native" in packed.stderr
    packed = pack({"app.py": APP}, "init", "--cpu", "native", environment={"PATH": os.devnull})
    assert packed.exit_code == 0, packed.stderr
