"""The layer's `python3`: subprocesses, multiprocessing, wrapper scripts."""

from pathlib import Path

from layer.conftest import OnLambda


def test_a_function_starts_pythons(on_lambda: OnLambda) -> None:
    module = """
        import subprocess, sys

        def told(*command, **more):
            ask = "import os, ssl, sys; print(sys.executable, sys.prefix, os.__file__, sys.argv)"
            return subprocess.run([*command, "-c", ask, "a"], capture_output=True, text=True, check=True, **more).stdout

        def handler(event, context):
            ours = told(sys.executable)
            others = [told("python3"), told("/opt/bin/python3", "-I"), told("/opt/bin/python3", "-E", env={})]
            others.append(subprocess.run("python3 -c 'import os, ssl, sys; print(sys.executable, sys.prefix, os.__file__, "
                                         "[\\"-c\\", \\"a\\"])'", shell=True, capture_output=True, text=True).stdout)
            return [ours, [other == ours for other in others], others]
    """
    ours, same, others = on_lambda({"app.py": module}, events=[{}]).response
    assert ours.startswith("/opt/bin/python3.")
    assert ours.endswith(" ['-c', 'a']\n")
    assert " /opt/whipsnake /opt/whipsnake/lib/python3." in ours
    assert same == [True] * 4, others


def test_multiprocessing_has_what_it_has_on_lambda(on_lambda: OnLambda) -> None:
    """Pipes; semaphores need /dev/shm, which Lambda does not have."""
    module = """
        import multiprocessing

        def child(pipe, number):
            pipe.send(number * 2)

        def double(method, number):
            methods = multiprocessing.get_context(method)
            ours, theirs = methods.Pipe()
            process = methods.Process(target=child, args=(theirs, number))
            process.start()
            doubled = ours.recv()
            process.join()
            return [doubled, process.exitcode]

        def handler(event, context):
            try:
                multiprocessing.Queue()
            except OSError as error:
                refusal = error.errno
            return [double("spawn", 21), double("fork", 4), refusal]
    """
    spawned, forked, refusal = on_lambda({"app.py": module}, events=[{}]).response
    assert (spawned, forked) == ([42, 0], [8, 0])
    assert refusal in (2, 38)


def test_a_wrapper_script_is_written_in_python(on_lambda: OnLambda, tmp_path: Path) -> None:
    wrapper = tmp_path / "task" / "wrapper"
    wrapper.parent.mkdir()
    wrapper.write_text(
        "#!/opt/bin/python3\nimport os, sys\nos.environ['WRAPPED'] = 'yes'\nos.execv(sys.argv[1], sys.argv[1:])\n"
    )
    wrapper.chmod(0o755)
    module = "import os\ndef handler(event, context): return os.environ['WRAPPED']"
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrapper"}
    assert on_lambda({"app.py": module}, events=[{}], environment=variables).response == "yes"


def test_python_runs_scripts_and_modules_by_itself(on_lambda: OnLambda) -> None:
    run = on_lambda({"script.py": "import sys; print('here', sys.argv[1:])"}, command=["/opt/bin/python3", "script.py", "a"])
    assert (run.stdout, run.stderr, run.ending) == ("here ['a']\n", "", "exit code 0")
    run = on_lambda(command=["/opt/bin/python3", "-m", "json.tool", "--help"])
    assert (run.stderr, run.ending) == ("", "exit code 0")
