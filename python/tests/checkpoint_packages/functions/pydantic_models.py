from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ValidationError, field_validator


class Order(BaseModel):
    id: int
    at: datetime
    total: Decimal
    tags: list[str] = []

    @field_validator("total")
    @classmethod
    def positive(cls, total):
        if total <= 0:
            raise ValueError("has to be positive")
        return total


def handler(event, context):
    try:
        return Order.model_validate(event).model_dump(mode="json")
    except ValidationError as error:
        return [[*problem["loc"], problem["type"]] for problem in error.errors()]
