"""Prints every training argument of the installed LLaMA-Factory as JSON: the source of recipe/llamafactory-arguments.json.

Run by `npm run read:arguments` with the Python of the locked environment; a test proves that the file is current.
"""

import dataclasses
import enum
import json
import sys
import types
import typing

from llamafactory.data.template import TEMPLATES
from llamafactory.hparams import (
    DataArguments,
    FinetuningArguments,
    GeneratingArguments,
    ModelArguments,
    TrainingArguments,
)


# Annotated as a text, split at commas; a list is taken as it is (`split_arg`).
LISTS = {
    "additional_target",
    "apollo_target",
    "freeze_extra_modules",
    "freeze_trainable_modules",
    "galore_target",
    "interleave_probs",
    "lora_target",
    "oft_target",
}


def kinds(annotation):
    """The value kinds that an annotation admits, and the choices if it is closed."""
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        choices = list(typing.get_args(annotation))
        return {"string" if isinstance(c, str) else "number" for c in choices}, choices
    if origin in (typing.Union, types.UnionType):
        found, choices = set(), None
        for part in typing.get_args(annotation):
            part_kinds, part_choices = kinds(part)
            found |= part_kinds
            choices = part_choices or choices
        return found, choices
    if origin in (list, tuple) or annotation in (list, tuple):
        return {"array"}, None
    if origin is dict or annotation is dict:
        return {"object"}, None
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {"string"}, [member.value for member in annotation]
    simple = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", typing.Any: "any"}
    # A class of Python's, such as GenerationConfig, can't be written in a file.
    return ({simple[annotation]} if annotation in simple else set()), None


def plain(value):
    """A default as JSON, or nothing where it is computed."""
    if value is dataclasses.MISSING:
        return None
    if isinstance(value, enum.Enum):
        return value.value
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None
    return value


def main():
    arguments = {}
    for group in (ModelArguments, DataArguments, TrainingArguments, FinetuningArguments, GeneratingArguments):
        hints = typing.get_type_hints(group)
        for field in dataclasses.fields(group):
            if not field.init or field.name in arguments:
                continue
            found, choices = kinds(hints.get(field.name, field.type))
            if field.name in LISTS:
                found.add("array")
            default = field.default
            if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            help_text = field.metadata.get("help", "")
            entry = {"group": group.__name__, "kinds": sorted(found), "default": plain(default)}
            if choices:
                entry["choices"] = choices
            elif field.metadata.get("choices"):
                entry["choices"] = list(field.metadata["choices"])
            if field.name == "template":
                entry["choices"] = sorted(TEMPLATES)
            entry["help"] = " ".join(str(help_text).split())
            arguments[field.name] = entry
    json.dump(dict(sorted(arguments.items())), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


main()
