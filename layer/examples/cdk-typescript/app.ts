// A Python function on whipsnake.
import { App, Stack, aws_lambda as lambda } from "aws-cdk-lib";
import { join } from "node:path";

const app = new App();
const stack = new Stack(app, "Greeting");

const runtime = new lambda.LayerVersion(stack, "Runtime", {
  code: lambda.Code.fromAsset(join(__dirname, "../../../dist/whipsnake-0.1.0-cp314-x86_64.zip")),
  compatibleRuntimes: [lambda.Runtime.PROVIDED_AL2023],
  compatibleArchitectures: [lambda.Architecture.X86_64],
});

new lambda.Function(stack, "Function", {
  code: lambda.Code.fromAsset(join(__dirname, "../function")),
  handler: "app.handler",
  runtime: lambda.Runtime.PROVIDED_AL2023,
  architecture: lambda.Architecture.X86_64,
  layers: [runtime],
});
