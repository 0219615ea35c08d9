import os

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb


def handler(event, context):
    query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier("price"), sql.Identifier("orders"))
    with psycopg.connect(host="127.0.0.1", port=os.environ["PORT"], user="shop", dbname="shop", autocommit=True) as connection:
        rows = connection.execute(query).fetchall()
        sent = connection.execute("SELECT %s", [Jsonb(event)]).fetchall()
    return [query.as_string(None), rows, sent]
