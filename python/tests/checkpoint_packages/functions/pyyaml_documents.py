import yaml

CONFIGURATION = yaml.load("shop: {prices: [1, 2.5], open: 2026-01-01}", Loader=yaml.CSafeLoader)


def handler(event, context):
    return [str(CONFIGURATION["shop"]["open"]), yaml.dump(yaml.safe_load(event), Dumper=yaml.CSafeDumper)]
