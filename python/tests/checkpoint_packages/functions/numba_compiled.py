import numba


@numba.njit
def total(n):
    result = 0
    for i in range(n):
        result += i * i
    return result


total(10)


def handler(event, context):
    return total(event)
