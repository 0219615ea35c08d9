import json
import logging
import os


def handler(event, context):
    return event
