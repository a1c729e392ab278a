"""The OpenAPI description, made from the verb table: it cannot say anything else than what is served."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from omniid import __version__
from omniid.control.schema import EVENTS_PATH, METRICS_PATH, VERBS, Problem, Verb

_REF = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    models: set[type[BaseModel]] = {Problem}
    for verb in VERBS:
        models |= {verb.answer} | ({verb.request} if verb.request else set())
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    paths: dict[str, Any] = {}
    for verb in VERBS:
        paths.setdefault(verb.path, {})[verb.method.lower()] = _operation(verb)
    paths[EVENTS_PATH] = {"get": _events_operation()}
    paths[METRICS_PATH] = {"get": _metrics_operation()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "omniid control API", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {})},
    }


def _operation(verb: Verb) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": verb.name,
        "summary": verb.summary,
        "responses": {
            "200": {"description": "Done.", "content": _content(verb.answer)},
            "default": {"description": "Refused.", "content": _content(Problem, "application/problem+json")},
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", verb.path)
    ]
    parameters += [{"name": flag, "in": "query", "schema": {"type": "string"}} for flag in verb.flags]
    if parameters:
        operation["parameters"] = parameters
    if verb.request is not None:
        operation["requestBody"] = {"required": False, "content": _content(verb.request)}
    return operation


def _events_operation() -> dict[str, Any]:
    since = {"name": "since", "in": "query", "schema": {"type": "integer", "minimum": 0}}
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "operationId": "events",
        "summary": "A snapshot, then what happens, as server-sent events.",
        "parameters": [since],
        "responses": {"200": {"description": "The stream.", "content": stream}},
    }


def _metrics_operation() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "metrics",
        "summary": "Counters, gauges and histograms, as Prometheus reads them.",
        "responses": {"200": {"description": "The metrics.", "content": text}},
    }


def _content(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(model=model.__name__)}}}
