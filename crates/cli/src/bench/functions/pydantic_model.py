from datetime import datetime

from pydantic import BaseModel, Field


class Line(BaseModel):
    article: str
    count: int = Field(gt=0)
    price: float


class Order(BaseModel):
    number: int
    placed: datetime | None = None
    lines: list[Line] = []


def handler(event, context):
    return Order(number=1, lines=[Line(article="a", count=1, price=9.9)]).model_dump(mode="json")
