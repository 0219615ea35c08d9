import os

import openai

client = openai.OpenAI(api_key="key", base_url=os.environ["SERVER"] + "/v1", max_retries=0)


def handler(event, context):
    try:
        client.models.retrieve("missing")
    except openai.NotFoundError as error:
        status = error.status_code
    said = client.chat.completions.create(model="small", messages=[{"role": "user", "content": event}])
    return [status, said.choices[0].message.content]
