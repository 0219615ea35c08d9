from scipy import interpolate, optimize, sparse, stats
from scipy.sparse.linalg import spsolve

curve = interpolate.CubicSpline([0, 1, 2, 3], [0, 1, 4, 9])


def handler(event, context):
    root = optimize.brentq(lambda x: curve(x) - event, 0, 3)
    fitted = optimize.minimize(lambda p: (p[0] - event) ** 2 + 1, [0.0])
    matrix = sparse.diags([2.0] * 5).tocsc()
    return [
        round(float(root), 9),
        round(float(fitted.x[0]), 3),
        round(float(stats.norm.cdf(event)), 9),
        spsolve(matrix, [event] * 5).tolist(),
    ]
