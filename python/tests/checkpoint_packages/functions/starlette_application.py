from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route


async def read(request):
    return JSONResponse({"number": request.path_params["number"], "tag": request.query_params.get("tag")})


async def create(request):
    return PlainTextResponse((await request.json())["name"] * 3, status_code=201)


app = Starlette(
    routes=[Route("/items/{number:int}", read), Route("/items", create, methods=["POST"])],
    middleware=[Middleware(GZipMiddleware)],
)
