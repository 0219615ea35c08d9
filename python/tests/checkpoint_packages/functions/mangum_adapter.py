from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/items/{number}")
async def read(number: int, tag: str | None = None):
    return {"number": number, "tag": tag}


@app.post("/items", status_code=201)
async def create(item: dict):
    return item


handler = Mangum(app, lifespan="off")
