from datetime import datetime

from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()


class Order(BaseModel):
    test: str
    placed: datetime | None = None


@app.post("/path/to/resource")
def place(order: Order) -> Order:
    return order


handler = Mangum(app, lifespan="off")
