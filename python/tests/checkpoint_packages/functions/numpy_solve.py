import numpy
from numpy.random import default_rng

A = default_rng(7).normal(size=(200, 200))


def handler(event, context):
    b = numpy.arange(200.0) * event["scale"]
    x = numpy.linalg.solve(A, b)
    return {
        "solved": bool(numpy.allclose(A @ x, b)),
        "sum": float(numpy.round(b.sum(), 6)),
        "fft": [round(abs(c), 6) for c in numpy.fft.fft(b[:4])],
    }
