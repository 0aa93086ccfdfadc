"""The meaning of a key: the docstring below its field in the class of pydantic that reads it."""

import ast
import inspect
from functools import cache

from pydantic import BaseModel

from lockgate.problem.params import CatboostParams, LightgbmParams, XgboostParams

# The keys of a class that are explained in another one: "as those of", says its docstring.
SAME: dict[type[BaseModel], type[BaseModel]] = {CatboostParams: XgboostParams, XgboostParams: LightgbmParams}


def meaning(model: type[BaseModel], key: str) -> str:
    """The meaning of a key as one line. Raises LookupError for a key without one."""
    for owner in _owners(model):
        if key in (found := below_fields(owner)):
            return found[key]
    raise LookupError(f"{model.__name__}.{key} has no docstring below its field")


def _owners(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The classes that may explain a key of the model: itself, its bases, and the class that it is like."""
    own = [each for each in model.__mro__ if issubclass(each, BaseModel) and each is not BaseModel]
    return own + (_owners(SAME[model]) if model in SAME else [])


@cache
def below_fields(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields of a class, by field."""
    [found] = [each for each in ast.parse(inspect.getsource(model)).body if isinstance(each, ast.ClassDef)]
    pairs = zip(found.body, found.body[1:], strict=False)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def about(model: type[BaseModel]) -> str:
    """The docstring of a class as one paragraph."""
    return " ".join(str(inspect.getdoc(model)).split())
