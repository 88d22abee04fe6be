"""Every address the platform answers, each handed to the edge that owns it."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from brokerage.health import healthz, readyz
from brokerage.metrics import metrics

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("", include("apps.api.urls")),
    path("", include("apps.web.urls")),
]

handler400 = "apps.api.errors.bad_request"
handler403 = "apps.api.errors.permission_denied"
handler404 = "apps.api.errors.not_found"
handler500 = "apps.api.errors.server_error"
