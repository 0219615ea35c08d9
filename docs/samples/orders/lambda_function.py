import asyncio

PRICES = {"apples": 3, "bread": 4, "tea": 7}

# Created once: an asyncio object is valid as long as the execution environment lives.
at_most_two_at_once = asyncio.Semaphore(2)


async def price_of(item):
    async with at_most_two_at_once:
        await asyncio.sleep(0.01)  # a request to some other service
        return PRICES[item]


async def lambda_handler(event, context):
    prices = await asyncio.gather(*[price_of(item) for item in event["items"]])
    return {"total": sum(prices)}
