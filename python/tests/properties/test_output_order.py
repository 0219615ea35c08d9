"""Random sequences of writes, each before one of the ways in which a process ends: the log is the managed runtime's."""

import random

import pytest

from conftest import CompareBoth

WRITES = [
    "print('a', end='')",
    "print('b')",
    "print('c', 'd', sep='')",
    "print(1, 2.5, None, [1], {'k': (1,)}, end=';')",
    "print('x', file=sys.stderr)",
    "print('y', end='', file=sys.stderr)",
    "print(Own())",
    "print('p', Own(), 'q', end='')",
    "print(Own(), Own())",
    "print('s', [Own()], end='')",
    "print(b'bytes', [b'x'])",
    "print(Exception('e'), ValueError)",
    "print(Sub('sub'), 1, True, 3 + 4j, range(3), sep='|')",
    "print(*'abc', sep='\\n')",
    "print(end='')",
    "print('', '', '')",
    "print('cr', end='\\r')",
    "print('é' * 3000, end='')",
    "print('z' * 9000, 'y' * 9000)",
    "print('k', file=sys.__stdout__, flush=True)",
    "try: print('a', Bad(), 'b')\n    except ZeroDivisionError: print('caught')",
    "try: print('a', '\\ud800')\n    except UnicodeError: print('caught')",
    "sys.stdout.write('w')",
    "sys.stderr.write('e')",
    "sys.stdout.writelines(['l', 'm'])",
    "sys.stdout.buffer.write(b'B')",
    "sys.__stdout__.write('o'); sys.__stdout__.flush()",
    "sys.stdout.flush()",
    "sys.stderr.flush()",
    "sys.stdout.reconfigure(line_buffering=True)",
    "sys.stdout.reconfigure(write_through=True)",
    "sys.stdout.reconfigure(line_buffering=False, write_through=False)",
    "with sys.stdout as stream: stream.write('in with')",
    "with contextlib.redirect_stdout(sys.stderr): print('redirected', Own(), end='')",
    "with contextlib.redirect_stdout(io.StringIO()): print('lost', Own())",
    "os.write(1, b'!')",
    "subprocess.run(['echo', 'child'])",
    "os.fork() or (print('child', end=''), os._exit(0)); os.wait()",
    "t = threading.Thread(target=print, args=('t', 1), kwargs={'end': ''}); t.start(); t.join()",
    "libc.puts(b'C'); libc.fflush(None)",
    "logging.warning('record')",
    "context.log('logged')",
    "warnings.warn('careful')",
    "pprint.pprint({'a': [1, 2]})",
]
ENDS = ["os._exit(3)", "os.kill(os.getpid(), 9)", "sys.exit(2)", "return 1", "1 / 0", "os.abort()"]

PREPARES = """\
import contextlib, ctypes, io, logging, os, pprint, subprocess, sys, threading, warnings
libc = ctypes.CDLL(None)
os.dup2(1, 2)
class Own:
    def __str__(self): os.write(1, b'<'); return 'own'
    def __repr__(self): os.write(1, b'('); return 'rep'
class Bad:
    def __str__(self): 1 / 0
class Sub(str):
    def __str__(self): os.write(1, b'{'); return 'str'
def handler(event, context):
"""


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_comes_in_order_and_before_the_end(both: CompareBoth, seed: int) -> None:
    """One pipe takes standard output and standard error, so that their order counts."""
    choice = random.Random(seed)
    lines = [*choice.choices(WRITES, k=15), choice.choice(ENDS)]
    body = "".join(f"    {line}\n" for line in lines)
    both({"app.py": PREPARES + body}, events=[{"key1": 1}])
