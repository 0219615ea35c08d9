from jinja2 import DictLoader, Environment, select_autoescape

environment = Environment(
    loader=DictLoader(
        {
            "base.html": "<p>{% block body %}{% endblock %}</p>",
            "page.html": '{% extends "base.html" %}{% block body %}{% for i in items %}{{ i }},{% endfor %}{% endblock %}',
        }
    ),
    autoescape=select_autoescape(),
)
page = environment.get_template("page.html")


def handler(event, context):
    return page.render(items=event)
