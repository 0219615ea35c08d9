import asyncio
import os

import httpx

client = httpx.Client()
first = client.get(os.environ["SERVER"] + "/import").json()


async def both(url):
    async with httpx.AsyncClient() as client:
        answers = await asyncio.gather(client.get(url + "/both"), client.get(url + "/both"))
    return [answer.json()["path"] for answer in answers]


def handler(event, context):
    url = os.environ["SERVER"]
    return [first["path"], client.post(url + "/orders", json=event).json()["path"], *asyncio.run(both(url))]
