"""Finds and imports the third-party modules of a function, for a checkpoint without the function's own modules.

A forked process imports the whole function and says which modules that took. This process then imports those that are not the
function's own: they come from the standard library, or from a package that an installer has put there.
"""

import importlib
import os
import sys

from whipsnake import _checkpoint_adapters


def import_third_party(search_paths: list[str], handler: str) -> tuple[list[str], list[str]]:
    """Imports the modules. `search_paths` are the standard library's.

    Returns the modules of installed packages, and what could not be imported, with the reason.
    """
    found, services, failure = _modules_of_function(handler)
    installed = Installed(search_paths)
    third_party = [name for name, origin in found if installed.has(origin)]
    own = {name for name, origin in found if origin and not installed.has(origin)}
    left_out = [f"the function's import failed ({failure}): its modules up to there are in"] if failure else []
    guard = _OwnModules(own)
    sys.meta_path.insert(0, guard)
    try:
        for name in third_party:
            if name not in sys.modules:
                try:
                    importlib.import_module(name)
                except BaseException as error:
                    left_out.append(f"{name}: {type(error).__name__}: {error}")
        _checkpoint_adapters.warm_up(services)
    finally:
        sys.meta_path.remove(guard)
    names = [name for name, origin in found if origin and not installed.is_standard(origin) and installed.has(origin)]
    return [name for name in names if name in sys.modules], left_out


class _OwnModules:
    """Refuses the function's own modules while the others are imported: they are to run after the restore."""

    def __init__(self, names):
        self._names = names

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002
        if name in self._names:
            raise ImportError(f"{name} is one of the function's own modules, which are not in the checkpoint", name=name)


class Installed:
    """Knows which files belong to the standard library or to an installed package."""

    def __init__(self, search_paths):
        self._standard = tuple(os.path.join(folder, "") for folder in search_paths)
        # The package of each file, as its installer names the folder with its RECORD.
        self._files = {}
        for folder in sys.path:
            self._add_records(folder)

    def _add_records(self, folder):
        """Installers list the files of a package in its RECORD."""
        try:
            entries = [entry for entry in os.listdir(folder) if entry.endswith(".dist-info")]
        except OSError:
            return
        for entry in entries:
            try:
                with open(os.path.join(folder, entry, "RECORD"), encoding="utf-8", newline="") as record:
                    import csv

                    package = entry.removesuffix(".dist-info").replace("-", " ")
                    for row in csv.reader(record):
                        if row:
                            self._files[os.path.normpath(os.path.join(folder, row[0]))] = package
            except OSError:
                continue

    def is_standard(self, origin):
        return not origin.startswith("/") or (origin.startswith(self._standard) and "/site-packages/" not in origin)

    def has(self, origin):
        return origin is not None and (self.is_standard(origin) or os.path.normpath(origin) in self._files)

    def distribution(self, origin):
        """The package that a file belongs to, and its version."""
        return self._files.get(os.path.normpath(origin))


def _modules_of_function(handler):
    """Imports the function in a forked process.

    Returns its modules in order, each with its file; the AWS services that it has clients of; why the import failed.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            found = repr(_import_function(handler)).encode()
            while found:
                found = found[os.write(writer, found) :]
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    if not text:
        return [], [], "the process ended"
    import ast

    return ast.literal_eval(text.decode())


class _Begun:
    """Notes the modules in the order in which their import begins. `sys.modules` has them in the order in which it ends."""

    def __init__(self):
        self.names = []

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002
        if not name.startswith("whipsnake."):
            self.names.append(name)


def _import_function(handler):
    begun = _Begun()
    sys.meta_path.insert(0, begun)
    failure = None
    try:
        importlib.import_module(handler.rpartition(".")[0].replace("/", "."))
    except BaseException as error:
        failure = f"{type(error).__name__}: {error}"
    found = []
    for name in dict.fromkeys(begun.names):
        spec = getattr(sys.modules.get(name), "__spec__", None)
        # Namespace packages and the like have no file, and come along with what is in them.
        origin = getattr(spec, "origin", None)
        if getattr(spec, "name", None) == name:
            found.append((name, origin if isinstance(origin, str) else None))
    return found, _checkpoint_adapters.services_in_use(), failure
