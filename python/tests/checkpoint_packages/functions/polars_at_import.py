import polars

PRICES = (
    polars.DataFrame({"name": ["a", "b", "a"], "price": [1.5, 2, 3.5]})
    .lazy()
    .group_by("name")
    .agg(polars.sum("price"))
    .collect()
)


def handler(event, context):
    return PRICES.filter(polars.col("name") == event).to_dicts()
