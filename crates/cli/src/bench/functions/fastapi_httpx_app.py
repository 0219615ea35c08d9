import httpx
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()
stock = httpx.Client(base_url="https://stock.example.com")


class Order(BaseModel):
    test: str


class Answer(BaseModel):
    order: Order
    asks: str


@app.post("/path/to/resource")
def place(order: Order) -> Answer:
    request = stock.build_request("GET", f"/articles/{order.test}")
    return Answer(order=order, asks=str(request.url))


handler = Mangum(app, lifespan="off")
