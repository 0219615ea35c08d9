import os

from slack_bolt import App
from slack_bolt.adapter.aws_lambda import SlackRequestHandler
from slack_sdk import WebClient

app = App(
    client=WebClient(token="xoxb-1", base_url=os.environ["SERVER"] + "/api/"),
    signing_secret="secret",
    process_before_response=True,
    request_verification_enabled=False,
    token_verification_enabled=False,
)


@app.command("/order")
def order(ack, command):
    ack(f"ordered {command['text']}")


def handler(event, context):
    answer = SlackRequestHandler(app).handle(event, context)
    return [answer["statusCode"], answer["body"]]
