import polars


def handler(event, context):
    frame = polars.DataFrame(event)
    summed = frame.lazy().group_by("name").agg(polars.col("price").sum()).sort("name").collect()
    return [summed.to_dicts(), frame.select(polars.col("price").rolling_mean(2)).to_series().to_list()]
