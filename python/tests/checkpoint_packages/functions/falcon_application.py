import falcon


class Item:
    def on_get(self, request, response, number):
        response.media = {"number": number, "tag": request.get_param("tag")}


class Items:
    def on_post(self, request, response):
        response.status = falcon.HTTP_201
        response.media = request.media


app = falcon.App()
app.add_route("/items/{number:int}", Item())
app.add_route("/items", Items())
