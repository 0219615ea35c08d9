# A Python function on whipsnake.

terraform {
  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.0"
    }
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

locals {
  layer = "${path.module}/../../../dist/whipsnake-0.1.0-cp314-x86_64.zip"
}

resource "aws_lambda_layer_version" "runtime" {
  layer_name               = "whipsnake-cp314-x86_64"
  filename                 = local.layer
  source_code_hash         = filebase64sha256(local.layer)
  compatible_runtimes      = ["provided.al2023"]
  compatible_architectures = ["x86_64"]
}

data "archive_file" "function" {
  type        = "zip"
  source_dir  = "${path.module}/../function"
  output_path = "${path.module}/function.zip"
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  name               = "whipsnake-greeting"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "greeting" {
  function_name    = "whipsnake-greeting"
  filename         = data.archive_file.function.output_path
  source_code_hash = data.archive_file.function.output_base64sha256
  handler          = "app.handler"
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  layers           = [aws_lambda_layer_version.runtime.arn]
  role             = aws_iam_role.function.arn
}
