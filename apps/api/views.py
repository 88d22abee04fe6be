"""What all operations of the API share: who calls and from where, checked text, throttles and headers."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.api.authentication import Caller
from apps.api.headers import headers_add
from apps.api.parsers import text_is_storable
from apps.api.throttles import KeyThrottle
from apps.events.facts import Origin
from apps.events.origins import client_address, user_agent
from apps.primitives.errors import Invalid


class PublishedView(APIView):
    """Base of every published operation."""

    throttle_classes = [KeyThrottle]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        given = [*kwargs.values(), *(text for pair in request.query_params.lists() for text in pair[1])]
        if not all(text_is_storable(str(text)) for text in given):
            raise Invalid("bad_value", "the address contains characters that cannot be stored")

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        headers_add(final, request)
        return final


def caller_of(request: Request) -> Caller:
    """Return the key's holder; every published operation has one."""
    caller = request.user
    assert isinstance(caller, Caller)
    return caller


def origin_of(request: Request) -> Origin:
    """Return who asked, and from where; the key stands for the session."""
    caller = caller_of(request)
    return Origin(
        ip_address=client_address(request),
        user_agent=user_agent(request),
        session_id=f"key:{caller.key_id}",
        actor_id=caller.user_id,
    )
