import io

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def handler(event, context):
    figure, axes = pyplot.subplots()
    axes.plot(event)
    axes.set_title("orders")
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    pyplot.close(figure)
    image = pyplot.imread(io.BytesIO(file.getvalue()))
    return [list(image.shape), round(float(image.mean()), 6)]
