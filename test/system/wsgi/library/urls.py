from django.contrib import admin
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from library.models import Book


def titles(request):
    """All titles, as a stream, one a line."""
    return StreamingHttpResponse(f"{book.title}: {book.pages}\n" for book in Book.objects.order_by("pk"))


def address(request):
    return HttpResponse(request.build_absolute_uri("/x?y=1"))


urlpatterns = [path("admin/", admin.site.urls), path("titles", titles), path("address", address)]
