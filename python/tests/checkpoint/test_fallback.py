"""Each check of a restore, made to fail: the ordinary start follows, with the same response, and one line names the check."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from checkpoint.conftest import CHECKPOINT, KINDS, NONE, WITHOUT, Checkpointed, Kind, Packed, Start, is_restored
from checkpoint.image import MACHINE, PAGE, VERSION, ZERO, Image, Segment, xxh64
from playing import Run

APP = """
    import os
    import words
    setting = os.environ.get("SETTING"), "UNSET" in os.environ

    def handler(event, context):
        return {"words": words.hello(), "event": event, "environment": sorted(os.environ)}
"""
WORDS = "def hello(): return 'hello'\n"
EVENTS = [{"key": 1}]


@pytest.fixture(scope="module")
def function(checkpointed: Checkpointed) -> Packed:
    """Not to be changed."""
    return checkpointed({"app.py": APP, "words.py": WORDS}, variables={"SETTING": "one"})


@pytest.fixture
def own_function(checkpointed: Checkpointed) -> Packed:
    """May be changed."""
    return checkpointed({"app.py": APP, "words.py": WORDS}, variables={"SETTING": "one"})


@pytest.fixture
def beside(function: Packed, tmp_path: Path) -> Path:
    """A folder with a checkpoint that may be changed."""
    return function.copy_of_checkpoint(tmp_path / "beside")


@pytest.fixture(scope="module")
def starts_ordinarily(start: Start, function: Packed) -> Callable[..., Run]:
    """Starts a function whose checkpoint must not be used for this reason. The response must be that of an ordinary start."""

    def run(
        reason: str,
        packed: Packed = function,
        *,
        beside: Path | None = None,
        environment: Mapping[str, str | bytes | None] = NONE,
        before: Sequence[str] = (),
        events: Sequence[object] = EVENTS,
    ) -> Run:
        ordinary = start(packed, events=events, environment={**environment, "WHIPSNAKE_CHECKPOINT": "off"})
        run = start(packed, beside=beside, before=before, events=events, environment=environment)
        assert not is_restored(run), run.story()
        stderr = run.stderr
        if before:
            # A process in a namespace learns that the play is over before it is killed.
            stderr = "".join(
                line for line in stderr.splitlines(keepends=True) if "could not get the next invocation" not in line
            )
        # What else an ordinary start prints, such as that a module is not what was packed, comes after it.
        assert stderr == f"{WITHOUT}{reason}\n{ordinary.stderr}"
        ordinary.response["environment"].remove("WHIPSNAKE_CHECKPOINT")
        expected = ordinary.response
        expected["environment"].remove("WHIPSNAKE_CHECKPOINT")
        assert run.response == expected
        assert (run.stdout, run.calls) == (ordinary.stdout, ordinary.calls)
        return run

    return run


def test_an_unchanged_function_is_restored(start: Start, function: Packed) -> None:
    run = start(function, events=EVENTS)
    assert is_restored(run)
    assert (run.response["words"], run.response["event"]) == ("hello", {"key": 1})
    assert (run.stdout, run.stderr) == ("", "")


def test_a_restored_process_has_the_variables_of_an_ordinary_one(start: Start, function: Packed) -> None:
    restored = start(function, events=EVENTS)
    ordinary = start(function, events=EVENTS, environment={"WHIPSNAKE_CHECKPOINT": "off"})
    assert is_restored(restored)
    assert not is_restored(ordinary)
    assert {*ordinary.response["environment"]} - {*restored.response["environment"]} == {"WHIPSNAKE_CHECKPOINT"}
    assert {*restored.response["environment"]} <= {*ordinary.response["environment"]}


def test_the_checkpoint_can_be_turned_off(start: Start, function: Packed) -> None:
    run = start(function, events=EVENTS, environment={"WHIPSNAKE_CHECKPOINT": "off"})
    assert not is_restored(run)
    assert (run.response["words"], run.stderr) == ("hello", "")


def test_info_says_what_was_restored(start: Start, function: Packed) -> None:
    run = start(function, events=EVENTS, environment={"WHIPSNAKE_LOG": "info"})
    assert is_restored(run)
    assert "restored" in run.stderr


# The file.


def test_a_damaged_header_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    content = bytearray((beside / CHECKPOINT).read_bytes())
    content[500] ^= 1
    (beside / CHECKPOINT).write_bytes(content)
    starts_ordinarily("the header is damaged", beside=beside)


@pytest.mark.parametrize("missing", [1, PAGE])
def test_a_truncated_file_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path, missing: int) -> None:
    checkpoint = beside / CHECKPOINT
    os.truncate(checkpoint, checkpoint.stat().st_size - missing)
    starts_ordinarily("the file is incomplete", beside=beside)


def test_a_file_with_more_behind_it_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    with (beside / CHECKPOINT).open("ab") as file:
        file.write(b"more")
    starts_ordinarily("the file is incomplete", beside=beside)


def test_a_file_that_ends_within_its_header_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    os.truncate(beside / CHECKPOINT, PAGE)
    starts_ordinarily("the file is incomplete", beside=beside)


@pytest.mark.parametrize("content", [b"", b"whipckpt", bytes(3 * PAGE), b"\xff" * 3 * PAGE])
def test_a_file_that_is_no_checkpoint_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path, content: bytes) -> None:
    (beside / CHECKPOINT).write_bytes(content)
    starts_ordinarily("the file is not a checkpoint", beside=beside)


def test_a_missing_checkpoint_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    (beside / CHECKPOINT).unlink()
    starts_ordinarily("no checkpoint can be read", beside=beside)


def test_a_link_that_leads_nowhere_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    (beside / CHECKPOINT).unlink()
    (beside / CHECKPOINT).symlink_to("nowhere")
    starts_ordinarily("no checkpoint can be read", beside=beside)


def test_a_folder_in_the_place_of_the_checkpoint_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    (beside / CHECKPOINT).unlink()
    (beside / CHECKPOINT).mkdir()
    starts_ordinarily("the file is not a checkpoint", beside=beside)


def test_the_header_of_another_version_is_refused(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    image = Image.read(beside / CHECKPOINT)
    image.set_number(VERSION, image.number(VERSION) + 1)
    image.write(beside / CHECKPOINT)
    starts_ordinarily("the file was written by another version of whipsnake", beside=beside)


def test_the_header_of_another_machine_is_refused(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    image = Image.read(beside / CHECKPOINT)
    image.set_number(MACHINE, 62 + 183 - image.number(MACHINE))
    image.write(beside / CHECKPOINT)
    starts_ordinarily("the file was written for another processor architecture", beside=beside)


def test_a_header_that_contradicts_itself_is_refused(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    image = Image.read(beside / CHECKPOINT)
    image.segments = [*image.segments, image.segments[0]]
    image.write(beside / CHECKPOINT)
    starts_ordinarily("the header contradicts itself", beside=beside)


def test_a_header_that_was_rewritten_without_a_change_is_accepted(start: Start, function: Packed, beside: Path) -> None:
    # So it is the change that the other tests see, not the rewriting.
    image = Image.read(beside / CHECKPOINT)
    image.segments = image.segments
    image.write(beside / CHECKPOINT)
    assert is_restored(start(function, beside=beside, events=EVENTS))


def test_the_checksum_is_xxhash() -> None:
    # The values of the reference implementation.
    assert xxh64(b"") == 0xEF46DB3751D8E999
    assert xxh64(b"abc") == 0x44BC2CF5AD770999
    assert xxh64(b"Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1


# The machine and the process.


LACKING = [
    *((0, 16, "word 0, bit 16"), (1, 10, "word 1, bit 10"), (2, 22, "word 2, bit 22"), (3, 15, "word 3, bit 15")),
    *((4, 0, "word 4, bit 00"), (5, 31, "word 5, bit 31"), (6, 16, "fma4"), (7, 31, "3dnow"), (8, 31, "word 8, bit 31")),
    *((9, 31, "word 9, bit 31"), (4, 2, "word 4, bit 02")),
]
"""Features that no processor of these days has: bits that mean nothing, and some that were given up."""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the features are those of x86-64")
@pytest.mark.parametrize(("word", "bit", "name"), LACKING)
def test_a_processor_without_a_feature_is_noticed(
    starts_ordinarily: Callable[..., Run], beside: Path, word: int, bit: int, name: str
) -> None:
    image = Image.read(beside / CHECKPOINT)
    image.require_cpu_feature(word, bit)
    image.write(beside / CHECKPOINT)
    starts_ordinarily(f"this processor lacks a feature of the one that it was made for: {name}", beside=beside)


def test_the_process_id_of_the_dumped_process_is_not_used_again(
    starts_ordinarily: Callable[..., Run], function: Packed, in_pid_namespace: Callable[..., Sequence[str]]
) -> None:
    process_id = Image.read(function.checkpoint).process_id
    starts_ordinarily(
        "this process has the id of the process that was dumped", beside=function.task_root, before=in_pid_namespace(process_id)
    )


def test_another_process_id_is_no_hindrance(
    start: Start, function: Packed, in_pid_namespace: Callable[..., Sequence[str]]
) -> None:
    process_id = Image.read(function.checkpoint).process_id
    assert is_restored(start(function, events=EVENTS, before=in_pid_namespace(process_id + 1)))
    assert is_restored(start(function, events=EVENTS, before=in_pid_namespace(1)))


def without_randomization() -> Sequence[str]:
    setarch = ["setarch", "--addr-no-randomize"]
    if not shutil.which("setarch") or subprocess.run([*setarch, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("addresses cannot be fixed here")
    return setarch


def test_memory_where_the_kernel_has_mapped_something_is_noticed(starts_ordinarily: Callable[..., Run], beside: Path) -> None:
    image = Image.read(beside / CHECKPOINT)
    # The stack without randomization ends here.
    end = 0x7FFF_FFFF_F000
    begin = max(image.segments[-1].end, end - (1 << 28))
    image.segments = [*image.segments, Segment(begin, end - begin, 0, 3, ZERO, 0)]
    image.write(beside / CHECKPOINT)
    starts_ordinarily(
        "the kernel has mapped something where it belongs, three times", beside=beside, before=without_randomization()
    )


# Files.


@pytest.mark.parametrize("kind", KINDS)
def test_another_bootstrap_is_noticed(
    starts_ordinarily: Callable[..., Run], checkpointed: Checkpointed, copied_programs: Path, kind: Kind
) -> None:
    packed = checkpointed({"app.py": APP, "words.py": WORDS}, kind, command=copied_programs / "whipsnake")
    bootstrap = copied_programs / "bootstrap"
    with bootstrap.open("ab") as file:
        file.write(b"\0")
    starts_ordinarily(f"a file has changed: {bootstrap}", packed)


def test_a_bootstrap_of_the_same_size_with_other_contents_is_noticed(
    starts_ordinarily: Callable[..., Run], checkpointed: Checkpointed, copied_programs: Path
) -> None:
    packed = checkpointed({"app.py": APP, "words.py": WORDS}, command=copied_programs / "whipsnake")
    bootstrap = copied_programs / "bootstrap"
    content = bytearray(bootstrap.read_bytes())
    # Among the sections' descriptions at the end, which no start reads.
    content[-1] ^= 0xFF
    bootstrap.write_bytes(content)
    starts_ordinarily(f"a file has changed: {bootstrap}", packed)


def test_a_module_of_another_size_is_noticed(starts_ordinarily: Callable[..., Run], own_function: Packed) -> None:
    module = own_function.task_root / "words.py"
    module.write_text(WORDS + "# Changed.\n")
    starts_ordinarily(f"a file has changed: {module}", own_function)


def test_a_module_of_the_same_size_with_other_contents_is_noticed(
    starts_ordinarily: Callable[..., Run], own_function: Packed
) -> None:
    module = own_function.task_root / "words.py"
    module.write_text(WORDS.replace("hello'", "jello'"))
    run = starts_ordinarily(f"a file has changed: {module}", own_function)
    assert run.response["words"] == "jello"


def test_a_module_with_the_same_contents_and_another_time_is_accepted(start: Start, own_function: Packed) -> None:
    for name in ("words.py", "app.py"):
        os.utime(own_function.task_root / name, ns=(1, 1_700_000_000_123_456_789))
    run = start(own_function, events=EVENTS)
    assert is_restored(run)
    assert run.response["words"] == "hello"


def test_a_missing_module_is_noticed(start: Start, own_function: Packed) -> None:
    module = own_function.task_root / "words.py"
    module.unlink()
    run = start(own_function, events=EVENTS)
    assert not is_restored(run) if run.calls[0] == "GET next" else run.init_error
    assert run.stderr.startswith(f"{WITHOUT}a file is missing: {module}\n")


def test_the_functions_own_modules_are_not_in_a_checkpoint_of_imports(start: Start, checkpointed: Checkpointed) -> None:
    packed = checkpointed({"app.py": APP, "words.py": WORDS}, "imports")
    (packed.task_root / "words.py").write_text(WORDS.replace("hello'", "jelly'"))
    run = start(packed, events=EVENTS)
    assert is_restored(run)
    assert run.response["words"] == "jelly"


# Environment variables.


def test_a_variable_that_was_read_and_differs_is_noticed(starts_ordinarily: Callable[..., Run]) -> None:
    starts_ordinarily("an environment variable differs: SETTING", environment={"SETTING": "two"})


def test_a_variable_that_was_read_and_is_gone_is_noticed(starts_ordinarily: Callable[..., Run]) -> None:
    starts_ordinarily("an environment variable differs: SETTING", environment={"SETTING": None})


def test_a_variable_that_was_looked_for_and_is_set_now_is_noticed(starts_ordinarily: Callable[..., Run]) -> None:
    starts_ordinarily("an environment variable differs: UNSET", environment={"UNSET": ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONUTF8", "1"),
        ("PYTHONSAFEPATH", "1"),
        ("LD_DEBUG_OUTPUT", "x"),
        ("LC_TIME", "C"),
        ("MALLOC_ARENA_MAX", "1"),
        ("GLIBC_TUNABLES", ""),
    ],
)
def test_a_variable_that_the_interpreter_may_read_is_noticed(
    starts_ordinarily: Callable[..., Run], name: str, value: str
) -> None:
    reason = "differs" if name in READ_BY_CPYTHON else "is set that was not"
    starts_ordinarily(f"an environment variable {reason}: {name}", environment={name: value})


READ_BY_CPYTHON = ("PYTHONUTF8", "PYTHONSAFEPATH")
"""By themselves, not by the pattern of their names."""


@pytest.mark.parametrize("name", ["LANG", "TZ", "LD_LIBRARY_PATH"])
def test_a_variable_of_lambda_that_differs_is_noticed(starts_ordinarily: Callable[..., Run], name: str) -> None:
    value = {"LANG": "C.UTF-8", "TZ": "Europe/Berlin", "LD_LIBRARY_PATH": "/lib64"}[name]
    starts_ordinarily(f"an environment variable differs: {name}", environment={name: value})


def test_a_variable_that_nobody_read_may_be_anything(start: Start, function: Packed) -> None:
    run = start(function, events=EVENTS, environment={"UNREAD": "value", "AWS_LAMBDA_LOG_STREAM_NAME": "another"})
    assert is_restored(run)
    assert "UNREAD" in run.response["environment"]


READS_EVERYTHING = """
    import os
    all_of_them = dict(os.environ), os.environ.copy(), {**os.environ}, [*os.environ.items()], [*os.environ.values()]

    def handler(event, context):
        return {"environment": sorted(os.environ)}
"""


@pytest.fixture(scope="module")
def reads_everything(checkpointed: Checkpointed) -> Packed:
    return checkpointed({"app.py": READS_EVERYTHING}, variables={"SETTING": "one"})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SETTING", "two", "an environment variable differs: SETTING"),
        ("SETTING", None, "an environment variable differs: SETTING"),
        ("NEW", "", "an environment variable is set that was not: NEW"),
    ],
)
def test_code_that_reads_all_variables_depends_on_all_of_them(
    starts_ordinarily: Callable[..., Run], reads_everything: Packed, name: str, value: str | None, reason: str
) -> None:
    starts_ordinarily(reason, reads_everything, environment={name: value})


def test_code_that_reads_all_variables_does_not_depend_on_those_that_differ_everywhere(
    start: Start, reads_everything: Packed
) -> None:
    different = {
        "AWS_ACCESS_KEY_ID": "ANOTHER",
        "AWS_SECRET_ACCESS_KEY": "another",
        "AWS_SESSION_TOKEN": "another",
        "AWS_LAMBDA_LOG_STREAM_NAME": "another",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2001",
    }
    assert is_restored(start(reads_everything, environment=different))


def test_the_packer_names_the_line_that_reads_all_variables(reads_everything: Packed) -> None:
    assert f"reads all variables: {reads_everything.task_root}/app.py:2" in reads_everything.stdout + reads_everything.stderr


def test_a_new_name_of_the_function_is_seen(start: Start, checkpointed: Checkpointed) -> None:
    app = """
        def handler(event, context):
            return [context.function_name, context.memory_limit_in_mb, context.log_stream_name]
    """
    packed = checkpointed({"app.py": app}, "init")
    variables = {"AWS_LAMBDA_FUNCTION_NAME": "g", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_LAMBDA_LOG_STREAM_NAME": "s"}
    run = start(packed, environment=variables)
    assert is_restored(run)
    assert run.response == ["g", "512", "s"]


def test_what_the_code_of_a_handler_reads_does_not_matter(start: Start, checkpointed: Checkpointed) -> None:
    app = """
        import os
        def handler(event, context): return os.environ.get("LATER")
    """
    packed = checkpointed({"app.py": app}, variables={"LATER": "at packing"})
    run = start(packed, environment={"LATER": "now"})
    assert is_restored(run)
    assert run.response == "now"


# The ordinary start itself.


def test_a_checkpoint_without_its_layer_says_so(start: Start, function: Packed, beside: Path) -> None:
    if Path("/opt/bootstrap").exists():
        pytest.skip("there is an /opt/bootstrap")
    (beside / ".whipsnake/bootstrap").unlink()
    run = start(function, beside=beside, environment={"WHIPSNAKE_CHECKPOINT": "off"})
    assert run.stderr == (
        "whipsnake: there is no /opt/bootstrap to start the function with: add the layer that the checkpoint was made for\n"
    )
    assert (run.calls, run.ending) == ([], "exit code 1")
    # With the checkpoint, the function needs the bootstrap only for its parts that are not in the checkpoint.
    assert is_restored(start(function, beside=beside, events=EVENTS))
