"""The layer of the AWS SDK, beside the runtime's."""

from pathlib import Path

from layer.conftest import OnLambda


def test_the_sample_prints_the_pinned_versions(on_lambda: OnLambda, sdk: Path, repository: Path) -> None:
    pins = dict(line.split()[0].split("==") for line in (repository / "layer/sdk.txt").read_text().splitlines() if "==" in line)
    run = on_lambda(
        {"lambda_function.py": (repository / "docs/samples/sdk_versions/lambda_function.py").read_text()},
        layer_folder=sdk,
        handler="lambda_function.lambda_handler",
        events=[{}],
    )
    assert (run.response, run.stdout) == (
        None,
        f"boto3 version: {pins['boto3']}\nbotocore version: {pins['botocore']}\n",
    )


def test_clients_sign_requests(on_lambda: OnLambda, sdk: Path) -> None:
    """Clients are made of the services' data, and a signature takes credentials, the clock and hashes: all but the network."""
    module = """
        import boto3

        def handler(event, context):
            s3 = boto3.client("s3")
            table = boto3.resource("dynamodb").Table("t")
            url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
            names = [boto3.client(name).meta.service_model.service_id for name in ("sts", "sqs", "lambda")]
            return [url, table.name, names, boto3.__file__]
    """
    run = on_lambda({"app.py": module}, layer_folder=sdk, events=[{}])
    url, table, names, file = run.response
    assert url.startswith("https://bucket.s3.amazonaws.com/key?")
    assert "AKIDEXAMPLE" in url
    assert (table, names) == ("t", ["STS", "SQS", "Lambda"])
    assert file.startswith("/opt/whipsnake/lib/python3.")


def test_simplejson_is_there_and_packages_know_their_versions(on_lambda: OnLambda, sdk: Path) -> None:
    module = """
        import importlib.metadata, simplejson

        def handler(event, context):
            return [simplejson.dumps({"a": 1}), importlib.metadata.version("botocore")]
    """
    text, version = on_lambda({"app.py": module}, layer_folder=sdk, events=[{}]).response
    assert text == '{"a": 1}'
    assert version[:2] == "1."


VERSION = "import boto3\ndef handler(event, context): return boto3.__version__"


def test_another_layers_sdk_wins_over_ours(on_lambda: OnLambda, sdk: Path) -> None:
    packages = {"python/boto3/__init__.py": "__version__ = 'of a layer'"}
    assert on_lambda({"app.py": VERSION}, layer=packages, layer_folder=sdk, events=[{}]).response == "of a layer"


def test_a_functions_own_sdk_wins_over_ours(on_lambda: OnLambda, sdk: Path) -> None:
    own = {"app.py": VERSION, "boto3/__init__.py": "__version__ = 'of the function'"}
    assert on_lambda(own, layer_folder=sdk, events=[{}]).response == "of the function"
