import os

import pymysql


def handler(event, context):
    connection = pymysql.connect(
        host="127.0.0.1", port=int(os.environ["PORT"]), user="shop", password="secret", database="shop"
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT price FROM orders WHERE name = %s", (event["name"],))
        return [cursor.fetchall(), cursor.mogrify("%s", event["name"])]
