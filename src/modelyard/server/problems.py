"""Errors as problem documents (RFC 9457): the same text that the command line prints."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from modelyard.domain import errors
from modelyard.domain.errors import ModelyardError

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[ModelyardError], HTTPStatus] = {
    ModelyardError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UserError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.RunFailedError: HTTPStatus.CONFLICT,
    errors.TrainingError: HTTPStatus.CONFLICT,
    errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.CorruptBlobError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of an error; a class that is not here has that of its nearest ancestor."""


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    """Where it is: ``body.op.priority``, ``query.limit``."""
    message: str


class Problem(BaseModel):
    """What went wrong, for people and for machines."""

    type: str
    """``urn:modelyard:problem:`` and the kind of error, which never changes: ``not-found``."""
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


def status_of(error: ModelyardError) -> HTTPStatus:
    """Return the status that an error is told with."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(status: HTTPStatus, kind: str, detail: str, fields: Sequence[FieldError] = ()) -> JSONResponse:
    """Return the response that tells of an error."""
    document = Problem(
        type=f"urn:modelyard:problem:{kind}", title=status.phrase, status=status, detail=detail, errors=list(fields)
    )
    return JSONResponse(document.model_dump(), status, media_type=MEDIA_TYPE)


def kind_of(error: ModelyardError) -> str:
    """Return an error's kind: ``StorageFullError`` is ``storage-full``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()


def add_problem_handlers(app: FastAPI) -> None:
    """Let every error that the routes raise become a problem document."""

    @app.exception_handler(ModelyardError)
    def known(_: Request, error: ModelyardError) -> JSONResponse:
        return problem(status_of(error), kind_of(error), str(error), _fields(error))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = [FieldError(field=_place(one["loc"]), message=one["msg"]) for one in error.errors()]
        detail = "; ".join(f"{one.field}: {one.message}" for one in fields)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, fields)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        detail = str(error.detail)
        if status is HTTPStatus.NOT_FOUND and detail == status.phrase:
            detail = f"there is nothing at {request.url.path}"
        response = problem(status, status.phrase.lower().replace(" ", "-"), detail)
        response.headers.update(error.headers or {})
        return response


def _fields(error: ModelyardError) -> list[FieldError]:
    """Return the fields that a config's mistakes are in; each line of the message is one, ``file:line: `` before it."""
    if not isinstance(error, errors.ConfigError):
        return []
    found = [re.match(r"(?:\S+?:\d+: )?([a-z_][\w.\[\]]*): ", line) for line in str(error).splitlines()]
    lines = zip(found, str(error).splitlines(), strict=True)
    return [FieldError(field=match[1], message=line[match.end() :]) for match, line in lines if match is not None]


def _place(location: Sequence[Any]) -> str:
    return ".".join(str(part) for part in location)
