import os
import urllib.request

from lumigo_tracer import lumigo_tracer


@lumigo_tracer(token="t_10faa5e13e7844aaa1234")
def handler(event, context):
    return urllib.request.urlopen(os.environ["SERVER"] + event).status
