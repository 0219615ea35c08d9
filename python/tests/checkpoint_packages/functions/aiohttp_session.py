import asyncio
import os

import aiohttp

loop = asyncio.new_event_loop()


async def open_session():
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))


session = loop.run_until_complete(open_session())


async def order(event):
    async with session.post(os.environ["SERVER"] + "/orders", json=event) as answer:
        return (await answer.json())["path"]


def handler(event, context):
    return loop.run_until_complete(order(event))
