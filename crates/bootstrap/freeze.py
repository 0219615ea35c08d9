"""Run by build.rs with the interpreter that the bootstrap is tied to: freezes modules into bytecode of its version, and tells
what there is to know about it. Arguments: the output folder, then `module=file`; a module of the standard library has no file
here and is found there."""

import ast
import importlib.machinery
import json
import marshal
import site
import sys
import sysconfig

# What `site` gives to builtins, for a start without `site`. Its own functions: they need next to nothing of `os`, which takes
# longer to import than all the rest of a start.
STAND_IN = """
import sys, builtins, _sitebuiltins

class os:
    sep, curdir, pardir = "/", ".", ".."
    class path:
        join = staticmethod(lambda *parts: "/".join(parts))

{functions}

sys.modules["os"] = os
try:
    setquit(), setcopyright(), sethelper()
finally:
    del sys.modules["os"]
"""


def stand_in_for_site():
    """None where this Python's `site` is not made of those functions."""
    with open(site.__file__, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    names = ("setquit", "setcopyright", "sethelper")
    found = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names}
    return STAND_IN.format(functions="\n".join(found.values())) if len(found) == len(names) else None


# Where a module's code says that it is from, if not from a frozen module: where the managed runtime has the frames that it stands for.
BOOTSTRAP = "/var/lang/lib/python%d.%d/site-packages/awslambdaric/bootstrap.py" % sys.version_info[:2]
FILES = {"awslambdaric.bootstrap": BOOTSTRAP, "whipsnake._caller": BOOTSTRAP}


def freeze(name, source):
    code = compile(source, FILES.get(name, f"<frozen {name}>"), "exec", dont_inherit=True, optimize=0)
    with open(f"{out}/{name}.code", "wb") as target:
        target.write(marshal.dumps(code))


out, *modules = sys.argv[1:]
for name, path in (module.split("=", 1) for module in modules):
    with open(path or sys.modules[name].__file__, encoding="utf-8") as source:
        freeze(name, source.read())
stand_in = stand_in_for_site()
if stand_in:
    freeze("site", stand_in)
paths = sysconfig.get_paths()
print(
    json.dumps({
        "version": list(sys.version_info[:2]),
        "executable": sys.executable,
        "name": "python%d.%d%s" % (*sys.version_info[:2], sys.abiflags),
        "prefix": sys.base_prefix,
        "exec_prefix": sys.base_exec_prefix,
        "search_paths": [path for path in sys.path if path],
        "stdlib": paths["stdlib"],
        "site_packages": paths["purelib"],
        "site_folders": site.getsitepackages(),
        "user_site": sysconfig.get_path("purelib", "posix_user", {"userbase": ".local"}),
        "stand_in_for_site": stand_in is not None,
        "built_in": sys.builtin_module_names,
        "module_suffixes": [suffix.removeprefix(".") for suffix in importlib.machinery.all_suffixes()],
    })
)
