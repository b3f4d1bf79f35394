"""Options from a mapping (a job's params, a form, a file): checked whole, and what is wrong said field by field."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import BadInput

Options = TypeVar("Options", bound=BaseModel)


def parse(
    model: type[Options], data: Mapping[str, Any] | None, what: str, *, where: str = "options", more: str = ""
) -> Options:
    """`model` made of `data` (None: of nothing). `what`: the options' name in the message, such as "Cutting options";
    `more`: what else to say in the hint.

    Raises BadInput that names every field that is unknown, missing or out of range; `where` is its place.
    """
    try:
        return model.model_validate(dict(data) if isinstance(data, Mapping) else data or {})
    except ValidationError as err:
        hint = f"Correct them. The options are: {', '.join(model.model_fields)}. {more}".rstrip()
        raise BadInput(f"{what}: {problems(err, where)}.", hint, where=where) from err


def problems(err: ValidationError, whole: str = "file") -> str:
    """Everything that pydantic found wrong, as "field.part: what; ...". `whole` names what concerns no single field."""
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc']) or whole}: {one['msg']}" for one in err.errors(include_url=False)
    )
