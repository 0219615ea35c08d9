from flask import Flask, render_template_string, request

app = Flask(__name__)


@app.get("/items/<int:number>")
def read(number):
    return {"number": number, "tag": request.args.get("tag")}


@app.post("/items")
def create():
    app.logger.warning("created %s", request.json["name"])
    return render_template_string("<b>{{ name }}</b>", name=request.json["name"] + "&"), 201
