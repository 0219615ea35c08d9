"""A Python function on whipsnake."""

from pathlib import Path

from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

HERE = Path(__file__).parent
LAYER = HERE.parents[2] / "dist/whipsnake-0.1.0-cp314-x86_64.zip"


class Greeting(Stack):
    """The function and its runtime."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        runtime = lambda_.LayerVersion(
            self,
            "Runtime",
            code=lambda_.Code.from_asset(str(LAYER)),
            compatible_runtimes=[lambda_.Runtime.PROVIDED_AL2023],
            compatible_architectures=[lambda_.Architecture.X86_64],
        )
        lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_asset(str(HERE.parent / "function")),
            handler="app.handler",
            runtime=lambda_.Runtime.PROVIDED_AL2023,
            architecture=lambda_.Architecture.X86_64,
            layers=[runtime],
        )


app = App()
Greeting(app, "Greeting")
app.synth()
