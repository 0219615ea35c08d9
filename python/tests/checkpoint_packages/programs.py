"""The functions that are started from checkpoints: which packages each is about, what it is sent, and what to know about it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checkpoint_packages import servers
from http_events import http_api
from playing import event

FUNCTIONS = Path(__file__).parent / "functions"

ARN = {"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f"}
TRACE = {"Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}

WEB_EVENTS = [
    http_api(url="/items/7?tag=x"),
    http_api("POST", "/items", [("content-type", "application/json")], '{"name":"latte","price":1.5}'),
    http_api(url="/items/8"),
]


@dataclass(frozen=True)
class Program:
    """A function with real packages."""

    function: str
    """functions/FUNCTION.py."""
    packages: Sequence[str]
    """The distributions that it is about, for the page."""
    folder: str
    """Where the packages are installed: a group of ../ecosystem/pyproject.toml, or of ./pyproject.toml."""
    events: Sequence[object] = ("a", "b", "c")
    handler: str = "app.handler"
    environment: Mapping[str, str] = field(default_factory=dict)
    server: servers.Serve = servers.none
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of every event."""
    note: str = ""
    """What its users should know."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By the kind of checkpoint: a part of the reason why none can be made. The note says what to do."""
    log: Callable[[str], str] = str
    """What of standard output is compared."""
    is_quick: bool = False
    """Part of the short form of the suite, which CI runs."""

    def steps(self) -> list[object]:
        return [event(value, headers=dict(self.headers)) for value in self.events]


def datadog_log(text: str) -> str:
    """Its metrics and spans. Which imports have spans depends on how long they took."""
    found: list[object] = []
    for line in text.splitlines():
        if not line.startswith("{"):
            found.append(line)
            continue
        record = json.loads(line)
        found += [record[key] for key in ("m", "v", "t") if key in record]
        for span in (span for trace in record.get("traces", []) for span in trace):
            if span["name"] not in ("aws.lambda.import", "aws.lambda.load"):
                found.append([span["name"], span["resource"], span["error"], span["meta"].get("cold_start")])
    return "\n".join(map(str, found))


POOL = "A connection that was made at import is closed after the restore, and the pool opens another one."

PROGRAMS = [
    Program(
        "fastapi_application",
        ["fastapi"],
        "web_frameworks",
        WEB_EVENTS,
        "app.app",
        is_quick=True,
        note="The lifespan starts after the restore, in each execution environment.",
    ),
    Program(
        "starlette_application",
        ["starlette"],
        "web_frameworks",
        WEB_EVENTS,
        "app.app",
        note="The lifespan starts after the restore, in each execution environment.",
    ),
    Program("django_application", ["django"], "web_frameworks", WEB_EVENTS, "app.app", is_quick=True),
    Program("flask_application", ["flask"], "web_frameworks", WEB_EVENTS, "app.app"),
    Program("falcon_application", ["falcon"], "web_frameworks", WEB_EVENTS, "app.app"),
    Program("mangum_adapter", ["mangum", "fastapi"], "mangum", WEB_EVENTS),
    Program(
        "pydantic_models",
        ["pydantic"],
        "extension_modules",
        [{"id": "7", "at": "2026-01-01T00:00:00Z", "total": "1.10", "tags": ["é"]}, {"id": "x", "total": -1}],
        is_quick=True,
    ),
    Program(
        "boto3_clients",
        ["boto3"],
        "boto3",
        server=servers.aws,
        is_quick=True,
        note="Clients and resources that were made at import sign with the credentials of the execution environment.",
    ),
    Program("requests_session", ["requests"], "http_clients", server=servers.http, note=POOL, is_quick=True),
    Program("httpx_client", ["httpx"], "http_clients", server=servers.http, note=POOL),
    Program(
        "aiohttp_session",
        ["aiohttp"],
        "http_clients",
        server=servers.http,
        note="An event loop that was made at import has to be idle. After the restore it continues.",
    ),
    Program("redis_client", ["redis"], "databases", server=servers.redis, note=POOL, is_quick=True),
    Program(
        "psycopg_query",
        ["psycopg"],
        "databases",
        ({"a": 1}, {"b": 2}),
        server=servers.postgres,
        note="The function connects in the handler.",
    ),
    Program(
        "pymysql_query",
        ["pymysql"],
        "databases",
        ({"name": "a"}, {"name": "b'"}),
        server=servers.mysql,
        note="The function connects in the handler.",
    ),
    Program(
        "sqlalchemy_orm",
        ["sqlalchemy"],
        "databases",
        is_quick=True,
        note="With `init`, a database in memory is part of the checkpoint.",
    ),
    Program("pymongo_client", ["pymongo"], "databases", server=servers.closed),
    Program(
        "numpy_solve",
        ["numpy"],
        "extension_modules",
        [{"scale": 1}, {"scale": 2}, {"scale": 3}],
        is_quick=True,
        note="The global random generator is seeded at each start. A generator made at import is the same in every copy.",
    ),
    Program(
        "pandas_groupby",
        ["pandas"],
        "extension_modules",
        [{"orders": [{"name": "a", "day": "2026-01-01"}, {"name": "b", "day": day}]} for day in ("2026-01-31", "2026-02-01")],
        is_quick=True,
    ),
    Program("scipy_optimize", ["scipy"], "scientific", (1, 2, 2.5)),
    Program(
        "scikit_learn_model",
        ["scikit-learn"],
        "scientific",
        ([5, 3, 1, 0.2], [6, 3, 5, 2]),
        note="With `init`, the fitted model is part of the checkpoint. Two random forests with threads (`n_jobs`) were fitted.",
    ),
    Program(
        "pyarrow_tables",
        ["pyarrow"],
        "pyarrow",
        ([{"name": "a"}, {"name": "b"}, {"name": "a"}], [{"name": "b"}]),
        note="The background thread of jemalloc does not run after a restore.",
    ),
    Program(
        "polars_frames",
        ["polars"],
        "polars",
        ({"name": ["a", "b", "a"], "price": [1.5, 2, 3.5]}, {"name": ["b"], "price": [2.5]}),
        note="Temporary files of a query that does not fit into memory stay until the execution environment ends.",
    ),
    Program(
        "polars_at_import",
        ["polars"],
        "polars",
        refused={"init": "polars-0"},
        note="A query at import starts threads that a restored process would lack. Use Polars in the handler, or `imports`.",
    ),
    Program("matplotlib_plot", ["matplotlib"], "matplotlib", ([1, 3, 2], [2, 2, 1])),
    Program("pillow_thumbnail", ["pillow"], "small", ("red", "navy")),
    Program(
        "lxml_xslt",
        ["lxml"],
        "extension_modules",
        ['<order><item price="1">a</item><item price="2">é</item></order>', "<order>"],
    ),
    Program(
        "cryptography_sign",
        ["cryptography"],
        "extension_modules",
        is_quick=True,
        note="With `init`, a key made at import is part of the checkpoint, the same in every copy.",
    ),
    Program(
        "pyjwt_tokens",
        ["pyjwt"],
        "small",
        note="With `init`, a key made at import is part of the checkpoint, the same in every copy.",
    ),
    Program("jinja2_templates", ["jinja2"], "small", ([1, "<b>"], [])),
    Program("pyyaml_documents", ["pyyaml"], "small", ("a: [1, 2]", "b: {c: 2026-01-01}")),
    Program("orjson_dumps", ["orjson"], "extension_modules"),
    Program("msgspec_structs", ["msgspec"], "small", ([{"type": "Order", "id": 1, "tags": ["a"]}], [])),
    Program("grpcio_call", ["grpcio"], "grpc", environment={"GRPC_VERBOSITY": "ERROR"}, is_quick=True),
    Program(
        "grpcio_channel",
        ["grpcio"],
        "grpc",
        server=servers.closed,
        note="A channel that was made at import connects with its first call.",
    ),
    Program(
        "grpcio_used_channel",
        ["grpcio"],
        "grpc",
        server=servers.grpc,
        refused={"init": "watches the connection to"},
        note="A channel that made a call at import has a connection and threads. Make the first call in the handler.",
    ),
    Program("protobuf_messages", ["protobuf"], "grpc", ({"a": 1, "b": [True, None]}, {})),
    Program(
        "opentelemetry_spans",
        ["opentelemetry-distro", "opentelemetry-exporter-otlp-proto-http"],
        "opentelemetry",
        [{"order": 1}, {"order": 2}],
        server=servers.collector,
        is_quick=True,
        note="The threads of batch processors start again after the restore.",
    ),
    Program(
        "datadog_metrics",
        ["datadog-lambda"],
        "datadog",
        (1, 2),
        log=datadog_log,
        environment={"DD_FLUSH_TO_LOG": "true", "DD_SERVICE": "shop", "DD_ENV": "test"},
        headers=ARN,
        note="How long imports took is reported as it was when the function was packed.",
    ),
    Program(
        "newrelic_agent",
        ["newrelic", "newrelic-lambda"],
        "newrelic",
        headers=ARN,
        environment={
            "NEW_RELIC_SERVERLESS_MODE_ENABLED": "true",
            "NEW_RELIC_ACCOUNT_ID": "12345",
            "NEW_RELIC_TRUSTED_ACCOUNT_KEY": "12345",
        },
        note="The agent reads its variables at import.",
    ),
    Program("sentry_errors", ["sentry-sdk"], "sentry", ("a", "fail", "b"), headers={**ARN, **TRACE}, server=servers.sentry),
    Program("sentry_at_import", ["sentry-sdk"], "sentry", ("a", "fail", "b"), headers={**ARN, **TRACE}, server=servers.sentry),
    Program(
        "powertools_utilities",
        ["aws-lambda-powertools"],
        "powertools",
        WEB_EVENTS,
        headers={**ARN, **TRACE},
        server=servers.xray,
    ),
    Program("xray_subsegments", ["aws-xray-sdk", "boto3"], "xray", headers=TRACE, server=servers.xray),
    Program("lumigo_tracer_spans", ["lumigo-tracer"], "lumigo", ("/a", "/b"), headers={**ARN, **TRACE}, server=servers.http),
    Program(
        "structlog_json", ["structlog"], "structlog", note="With `init`, what is logged at import is not in the log of a start."
    ),
    Program("loguru_sinks", ["loguru"], "loguru", note="With `init`, what is logged at import is not in the log of a start."),
    Program("slack_bolt_app", ["slack_bolt"], "slack_bolt", WEB_EVENTS, server=servers.http),
    Program("langchain_chain", ["langchain-core"], "langchain"),
    Program("openai_client", ["openai"], "openai", server=servers.openai),
    Program("tokenizers_encode", ["tokenizers", "tiktoken"], "tokenizers", ("a latte", "xyz")),
    Program("spacy_pipeline", ["spacy"], "spacy", ("A latte. And tea.", "Don't")),
    Program(
        "numba_compiled",
        ["numba"],
        "numba",
        (10, 100),
        note="With `init`, what was compiled at import is part of the checkpoint.",
    ),
]
