import numpy

ones = numpy.ones((8, 8))


def handler(event, context):
    return {"sum": float(ones.sum())}
