"""Packages that are extension modules, each embedding CPython's C API in a way of its own, alone and in one process."""

import pytest

from conftest import PlayFunction
from playing import event

NUMPY = """
    import numpy
    from numpy.random import default_rng

    def handler(event, context):
        matrix = numpy.arange(event["side"] ** 2, dtype="float64").reshape(event["side"], -1)
        solved = numpy.linalg.solve(matrix + numpy.eye(event["side"]), numpy.ones(event["side"]))
        return {
            "trace": float((matrix @ matrix.T).trace()),
            "solved": bool(numpy.allclose((matrix + numpy.eye(event["side"])) @ solved, 1)),
            "random": [int(value) for value in default_rng(7).integers(0, 100, 5)],
            "scalar is float": isinstance(matrix[0, 1], float),
        }
"""

PANDAS = """
    import io
    import pandas

    def handler(event, context):
        table = pandas.read_csv(io.StringIO(event["csv"]), parse_dates=["day"])
        sums = table.groupby(table["day"].dt.strftime("%Y-%m"))["amount"].sum()
        return {"sums": sums.to_dict(), "json": table.to_json(orient="records", date_format="iso")}
"""
CSV = "day,amount\n2026-01-01,1.5\n2026-01-31,2.5\n2026-02-01,4\n"

PYDANTIC = """
    from datetime import datetime
    from decimal import Decimal
    from pydantic import BaseModel, ValidationError, field_validator

    class Order(BaseModel):
        id: int
        at: datetime
        total: Decimal
        tags: list[str] = []

        @field_validator("total")
        @classmethod
        def positive(cls, total):
            if total <= 0:
                raise ValueError("has to be positive")
            return total

    def handler(event, context):
        try:
            return Order.model_validate(event).model_dump(mode="json")
        except ValidationError as error:
            return [[*problem["loc"], problem["type"]] for problem in error.errors()]
"""

LXML = """
    from lxml import etree

    STYLE = etree.XSLT(etree.XML('''<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0">
        <x:template match="/order"><total><x:value-of select="sum(item/@price)"/></total></x:template>
    </x:stylesheet>'''))

    def handler(event, context):
        try:
            tree = etree.fromstring(event)
        except etree.XMLSyntaxError as error:
            return str(error.position)
        return [tree.xpath("//item[@price > 1]/text()"), str(STYLE(tree).getroot().text), etree.tostring(tree).decode()]
"""

CRYPTOGRAPHY = """
    from cryptography.exceptions import InvalidSignature
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    box = Fernet(Fernet.generate_key())

    def handler(event, context):
        message = event.encode()
        signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
        key.public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))
        try:
            key.public_key().verify(signature, message + b"!", ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return box.decrypt(box.encrypt(message)).decode()
"""

ORJSON = """
    import datetime, uuid
    import orjson

    def handler(event, context):
        value = {"at": datetime.datetime(2026, 1, 1), "id": uuid.UUID(int=1), "text": event}
        try:
            orjson.loads("{")
        except ValueError as error:
            return [orjson.dumps(value).decode(), orjson.loads(orjson.dumps(event)) == event, type(error).__name__]
"""

CASES = {
    "numpy": (
        NUMPY,
        {"side": 20},
        {"trace": 21253400.0, "solved": True, "random": [94, 62, 68, 89, 57], "scalar is float": True},
    ),
    "pandas": (
        PANDAS,
        {"csv": CSV},
        {
            "sums": {"2026-01": 4.0, "2026-02": 4.0},
            "json": '[{"day":"2026-01-01T00:00:00.000","amount":1.5},{"day":"2026-01-31T00:00:00.000","amount":2.5},'
            '{"day":"2026-02-01T00:00:00.000","amount":4.0}]',
        },
    ),
    "pydantic": (
        PYDANTIC,
        {"id": "7", "at": "2026-01-01T00:00:00Z", "total": "1.10", "tags": ["é"]},
        {"id": 7, "at": "2026-01-01T00:00:00Z", "total": "1.10", "tags": ["é"]},
    ),
    "pydantic-errors": (
        PYDANTIC,
        {"id": "x", "total": -1},
        [["id", "int_parsing"], ["at", "missing"], ["total", "value_error"]],
    ),
    "lxml": (
        LXML,
        '<order><item price="1">a</item><item price="2">é</item></order>',
        [["é"], "3", '<order><item price="1">a</item><item price="2">&#233;</item></order>'],
    ),
    "lxml-errors": (LXML, "<order>", "(1, 8)"),
    "cryptography": (CRYPTOGRAPHY, "message é", "message é"),
    "orjson": (
        ORJSON,
        "é",
        ['{"at":"2026-01-01T00:00:00","id":"00000000-0000-0000-0000-000000000001","text":"é"}', True, "JSONDecodeError"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_function_that_uses_it_again_and_again(play_tool: PlayFunction, case: str) -> None:
    function, given, expected = CASES[case]
    run = play_tool({"app.py": function}, events=[event(given, repeat=5)])
    assert run.responses == [expected] * 5
    assert run.stderr == ""


def test_all_of_them_in_one_process_which_ends_well(play_tool: PlayFunction) -> None:
    names = {case.partition("-")[0] for case in CASES}
    modules = {name: CASES[name] for name in sorted(names)}
    files = {f"{name}_function.py": function for name, (function, _, _) in modules.items()}
    files["app.py"] = "from importlib import import_module\n" + "def handler(event, context):\n"
    files["app.py"] += "    return import_module(event[0] + '_function').handler(event[1], context)\n"
    events = [[name, given] for name, (_, given, _) in modules.items()]
    run = play_tool(files, events=[*events, *events], end="SIGTERM")
    assert run.responses == [expected for _, _, expected in modules.values()] * 2
    assert (run.ending, run.stderr) == ("signal 15", "")


def test_what_the_runtime_cannot_write_is_the_functions_error(play_tool: PlayFunction) -> None:
    files = {"app.py": "import numpy\ndef handler(event, context): return getattr(numpy, event)(7)"}
    run = play_tool(files, events=["float64", "float32", "int64", "array"])
    assert run.responses == [7.0]
    assert [error["errorMessage"] for error in run.errors] == [
        f"Unable to marshal response: Object of type {name} is not JSON serializable"
        for name in ("float32", "int64", "ndarray")
    ]
