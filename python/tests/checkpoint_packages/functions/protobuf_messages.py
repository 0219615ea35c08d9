from google.protobuf import descriptor_pb2, json_format, struct_pb2, timestamp_pb2

FILE = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop")


def handler(event, context):
    at = timestamp_pb2.Timestamp()
    at.FromJsonString("2026-01-01T00:00:00Z")
    order = struct_pb2.Struct()
    json_format.ParseDict(event, order)
    copied = struct_pb2.Struct.FromString(order.SerializeToString())
    return [sorted(json_format.MessageToDict(copied).items()), at.seconds, len(FILE.SerializeToString())]
