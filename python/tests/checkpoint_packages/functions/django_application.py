from django.conf import settings

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="secret",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.urls import path  # noqa: E402


def read(request, number):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s * 2", [number])
        doubled = cursor.fetchone()[0]
    return JsonResponse({"number": number, "doubled": doubled, "tag": request.GET.get("tag")})


def create(request):
    return HttpResponse(Template("{{ body|upper }}").render(Context({"body": request.body.decode()})), status=201)


urlpatterns = [path("items/<int:number>", read), path("items", create)]
app = get_wsgi_application()
