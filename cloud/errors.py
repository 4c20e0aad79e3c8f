"""Domain errors, and how they leave the API: application/problem+json (RFC 9457).

CloudError            anything that a caller did or that the surroundings did to us
├── StartError        the cloud cannot start; one line for the terminal
└── ApiError          has an HTTP status
    ├── NotFoundError   404
    ├── UnauthorizedError  401
    ├── ForbiddenError     403
    └── InvalidError       422
"""

from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

PROBLEM = "application/problem+json"


class CloudError(Exception):
    """Base of every error of the cloud's own."""


class StartError(CloudError):
    """The cloud cannot start; the message is one line that names the thing and the way out."""


class ApiError(CloudError):
    """An error with an HTTP status; the message names the thing, the value and what would be right."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class NotFoundError(ApiError):
    """What was asked for does not exist for this tenant."""

    status = HTTPStatus.NOT_FOUND


class UnauthorizedError(ApiError):
    """No token, or one that is not known."""

    status = HTTPStatus.UNAUTHORIZED


class ForbiddenError(ApiError):
    """The token is known, its role may not do this."""

    status = HTTPStatus.FORBIDDEN


class InvalidError(ApiError):
    """A value that cannot be used."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


def problem(status: int, detail: str, request: Request, **more: Any) -> JSONResponse:
    """A problem-details response; `detail` names the thing."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": request.url.path,
        **more,
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body, status_code=status, headers=headers, media_type=PROBLEM)


def _place(error: dict[str, Any]) -> str:
    return ".".join(str(part) for part in error["loc"])


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem-details response."""

    async def on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)  # noqa: S101
        return problem(error.status, str(error), request)

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        return problem(error.status_code, f"{request.method} {request.url.path}: {error.detail}", request)

    async def on_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        found = [{"where": _place(item), "what": item["msg"]} for item in error.errors()]
        detail = "; ".join(f"{item['where']}: {item['what']}" for item in found)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, request, errors=found)

    app.add_exception_handler(ApiError, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
