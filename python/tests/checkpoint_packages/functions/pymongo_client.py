import os

import pymongo
from bson import BSON, ObjectId

client = pymongo.MongoClient("127.0.0.1", int(os.environ["PORT"]), serverSelectionTimeoutMS=300)


def handler(event, context):
    document = BSON.encode({"_id": ObjectId("0" * 24), "name": event}).decode()
    try:
        client.shop.orders.find_one({"name": event})
    except pymongo.errors.ServerSelectionTimeoutError as error:
        return [document["name"], "Connection refused" in str(error), len(client.nodes)]
