import logging
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, Request
from pydantic import BaseModel

log = logging.getLogger("shop")


@asynccontextmanager
async def lifespan(app):
    print("started")
    yield {"database": "open"}


app = FastAPI(lifespan=lifespan)


class Item(BaseModel):
    name: str
    price: float


@app.get("/items/{number}")
async def read(number: int, request: Request):
    return {"number": number, "tag": request.query_params.get("tag"), "state": request.state.database}


@app.post("/items", status_code=201)
def create(item: Item, background: BackgroundTasks):
    background.add_task(print, "sold", item.name)
    log.warning("created %s", item.name)
    return item
