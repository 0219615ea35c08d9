import os
import urllib.request

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
URLLibInstrumentor().instrument()
BotocoreInstrumentor().instrument()
tracer = trace.get_tracer("shop")


def handler(event, context):
    with tracer.start_as_current_span("order") as span:
        span.set_attribute("order", event["order"])
        status = urllib.request.urlopen(os.environ["SERVER"]).status
    return [status, provider.force_flush()]
