from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel

logger = Logger(service="shop")
metrics = Metrics(namespace="shop", service="orders")
tracer = Tracer(service="shop")
app = APIGatewayHttpResolver(enable_validation=True)


class Item(BaseModel):
    name: str
    price: float


@app.get("/items/<number>")
@tracer.capture_method
def read(number: int) -> dict:
    metrics.add_metric(name="reads", unit=MetricUnit.Count, value=1)
    return {"number": number}


@app.post("/items")
def create(item: Item) -> Item:
    logger.info("created", extra={"item": item.name})
    return item


@logger.inject_lambda_context
@metrics.log_metrics
@tracer.capture_lambda_handler
def handler(event, context):
    return app.resolve(event, context)
