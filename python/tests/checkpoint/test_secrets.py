"""What a checkpoint must not have in it, and whose credentials a restored process uses."""

import hashlib
import hmac
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from checkpoint.conftest import KINDS, Checkpointed, Kind, Pack, Start, is_restored
from playing import Run

pytest.importorskip("boto3")

HELLO = "def handler(event, context): return 'hello'\n"

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPACKERSOWNKEY001",
    "AWS_SECRET_ACCESS_KEY": "packers/own/secret/key/0123456789",
    "AWS_SESSION_TOKEN": "packers+own+session+token==",
    "DATABASE_PASSWORD": "correct-horse-battery-staple",
    "GITHUB_TOKEN": "ghp_0123456789abcdefghij",
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_variable_of_the_packer_is_in_the_file(checkpointed: Checkpointed, kind: Kind) -> None:
    packed = checkpointed({"app.py": HELLO}, kind, environment=SECRETS)
    content = packed.checkpoint.read_bytes()
    given = " ".join(packed.variables.values())
    for name, value in {**os.environ, **SECRETS}.items():
        # A path of this machine may be in it for other reasons.
        if len(value) >= 12 and "/" not in value.removeprefix("packers/own/secret/key/") and value not in given:
            assert value.encode() not in content, name


def test_the_functions_secrets_are_only_in_a_checkpoint_that_read_them(checkpointed: Checkpointed) -> None:
    # By its design: a function that reads a variable when it is imported has its value in its memory.
    reads = "import os\nsecret = os.environ['FUNCTIONS_SECRET']\n" + HELLO
    variables = {"FUNCTIONS_SECRET": "value-of-the-function-0123456789"}
    packed = checkpointed({"app.py": reads}, variables=variables)
    assert b"value-of-the-function-0123456789" in packed.checkpoint.read_bytes()


def test_a_secret_that_the_function_finds_another_way_is_refused(pack: Pack) -> None:
    # Such as from a file of the packer's.
    app = "secret = ''.join(['correct-horse', '-battery', '-staple'])\n" + HELLO
    packed = pack({"app.py": app}, environment=SECRETS)
    assert packed.exit_code == 2
    assert "no checkpoint was made: the value of this command's variable DATABASE_PASSWORD" in packed.stderr
    assert "correct-horse" not in packed.stderr
    assert not packed.checkpoint.exists()


# Clients of AWS.

CLIENT_AT_IMPORT = """
    import boto3
    from botocore.awsrequest import AWSResponse

    client = boto3.client("sts")
    resource = boto3.resource("dynamodb")
    session = boto3.session.Session(region_name="eu-west-1")
    of_session = session.client("sqs")

    def sent(client, call):
        found = {}
        def catch(request, **_):
            found.update(method=request.method, url=request.url, body=text(request.body or ""))
            found["headers"] = {name: text(value) for name, value in request.headers.items()}
            return AWSResponse(request.url, 500, {}, Raw())
        client.meta.events.register("before-send", catch)
        try:
            call()
        except Exception as error:
            found["error"] = str(error)
        return found

    def text(value):
        return value if isinstance(value, str) else value.decode()

    class Raw:
        def stream(self, *_, **__): return iter([b""])
        def read(self, *_): return b""

    def handler(event, context):
        late = boto3.client("sts")
        return {
            "client": sent(client, client.get_caller_identity),
            "resource": sent(resource.meta.client, resource.meta.client.list_tables),
            "session": sent(of_session, of_session.list_queues),
            "late": sent(late, late.get_caller_identity),
            "presigned": client.generate_presigned_url("get_caller_identity"),
        }
"""

NEW = {"AWS_ACCESS_KEY_ID": "AKIANEW0000000000001", "AWS_SECRET_ACCESS_KEY": "new/secret", "AWS_SESSION_TOKEN": "new-token"}
NEWER = {
    "AWS_ACCESS_KEY_ID": "AKIANEW0000000000002",
    "AWS_SECRET_ACCESS_KEY": "newer/secret",
    "AWS_SESSION_TOKEN": "newer-token",
}


def signature(request: Mapping[str, str], headers: Mapping[str, str], secret: str) -> str:
    """The signature that AWS computes of a request: Signature Version 4."""
    given = headers["authorization"]
    fields = dict(part.strip().split("=", 1) for part in given.removeprefix("AWS4-HMAC-SHA256 ").split(","))
    scope = fields["Credential"].split("/", 1)[1]
    names = fields["SignedHeaders"].split(";")
    url = urlsplit(request["url"])
    signed = {name: url.netloc if name == "host" else headers[name].strip() for name in names}
    canonical = "\n".join(
        [
            request["method"],
            url.path or "/",
            url.query,
            *(f"{name}:{signed[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(request["body"].encode()).hexdigest(),
        ]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert fields["Signature"] != ""
    return "right" if hmac.new(key, text.encode(), "sha256").hexdigest() == fields["Signature"] else "wrong"


def check_signatures(run: Run, credentials: Mapping[str, str]) -> None:
    for name in ("client", "resource", "session", "late"):
        request = run.response[name]
        headers = {key.lower(): value for key, value in request["headers"].items()}
        assert f"Credential={credentials['AWS_ACCESS_KEY_ID']}/" in headers["authorization"], name
        assert headers["x-amz-security-token"] == credentials["AWS_SESSION_TOKEN"], name
        assert signature(request, headers, credentials["AWS_SECRET_ACCESS_KEY"]) == "right", name
        assert signature(request, headers, "whipsnake") == "wrong", name
    presigned = run.response["presigned"]
    assert f"X-Amz-Credential={credentials['AWS_ACCESS_KEY_ID']}%2F" in presigned
    assert f"X-Amz-Security-Token={credentials['AWS_SESSION_TOKEN']}" in presigned


@pytest.fixture(scope="module")
def packages() -> str:
    """Where boto3 is."""
    spec = importlib.util.find_spec("boto3")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parents[1])


@pytest.mark.parametrize("kind", KINDS)
def test_clients_made_at_import_sign_with_the_functions_own_credentials(
    checkpointed: Checkpointed, start: Start, packages: str, kind: Kind
) -> None:
    packed = checkpointed({"app.py": CLIENT_AT_IMPORT}, kind, variables={"PYTHONPATH": packages})
    for credentials in (NEW, NEWER):
        run = start(packed, environment=credentials)
        assert is_restored(run), run.story()
        check_signatures(run, credentials)
    ordinary = start(packed, environment={**NEW, "WHIPSNAKE_CHECKPOINT": "off"})
    check_signatures(ordinary, NEW)


@pytest.mark.parametrize("kind", KINDS)
def test_no_credentials_but_the_packers_dummies_are_in_the_file(checkpointed: Checkpointed, packages: str, kind: Kind) -> None:
    packed = checkpointed({"app.py": CLIENT_AT_IMPORT}, kind, variables={"PYTHONPATH": packages}, environment=SECRETS)
    content = packed.checkpoint.read_bytes()
    assert not [name for name, value in SECRETS.items() if value.encode() in content]
