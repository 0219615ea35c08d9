import msgspec


class Order(msgspec.Struct, tag=True):
    id: int
    tags: set[str] = set()


decoder = msgspec.json.Decoder(list[Order])


def handler(event, context):
    orders = decoder.decode(msgspec.json.encode(event))
    try:
        decoder.decode(b'[{"type":"Order","id":"x"}]')
    except msgspec.ValidationError as error:
        return [msgspec.to_builtins(orders), msgspec.msgpack.decode(msgspec.msgpack.encode(orders)), str(error)]
