"""Settings from a file: a YAML mapping of asset name -> field -> value, laid over the defaults in the code.

    two_tower:
      dim: 32
    splits:
      n_refits: 2

The values become the defaults of the launchpad and part of each asset's version, so a changed setting makes exactly
the assets that read it stale.
"""

import copy
import reprlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from recsys_assets.resources import settings_file
from recsys_core.errors import SettingsError

Run = TypeVar("Run", bound=pydantic.BaseModel)


class _NoRepeats(yaml.SafeLoader):
    """Refuses a repeated key: plain YAML keeps the last value and silently drops the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """The mapping; raises if a key occurs twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(repeated)} occurs twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_assets_with_settings: set[str] = set()


@cache
def load_settings() -> dict[str, dict[str, object]]:
    """The settings of the file that RECSYS_SETTINGS names; empty if it names none.

    Raises:
        SettingsError: the file is missing, or is not a mapping of mappings.
    """
    path = settings_file()
    if path is None:
        return {}
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _NoRepeats) or {}  # a SafeLoader
    except (OSError, ValueError, yaml.YAMLError) as fault:  # ValueError: not UTF-8, or a number of 5,000 digits
        raise SettingsError(f"the settings file {path} cannot be read: {' '.join(str(fault).split())}") from fault
    except RecursionError as fault:
        raise SettingsError(
            f"the settings file {path} is nested too deeply: expected asset, field and value"
        ) from fault
    if not _is_mapping(loaded) or not all(_is_mapping(section) for section in loaded.values()):
        wrong = [name for name, section in loaded.items() if not _is_mapping(section)] if _is_mapping(loaded) else []
        where = f"{path}{f', {wrong[0]}' if wrong else ''}"
        raise SettingsError(
            f"{where}: expected a section of fields under each asset's name, as in recsys_assets/presets"
        )
    return loaded


def from_settings(asset: str) -> Callable[[type[Run]], type[Run]]:
    """Give a launch form the settings file's values as its defaults."""

    def with_defaults(form: type[Run]) -> type[Run]:
        _assets_with_settings.add(asset)
        section = load_settings().get(asset, {})
        unknown = sorted(set(section) - set(form.model_fields))
        if unknown:
            known = ", ".join(form.model_fields)
            raise SettingsError(
                f"{settings_file()}: {asset} has no setting {', '.join(unknown)}: its settings are {known}"
            )
        if not section:
            return form
        checked = validate(form, section, f"{settings_file()}: {asset}")
        fields = {
            # The value after the check: YAML reads 1e-3 as text, and the form makes it a number.
            name: (form.model_fields[name].annotation, _with_default(form, name, getattr(checked, name)))
            for name in section
        }
        made: type[Run] = pydantic.create_model(form.__name__, __base__=form, __doc__=form.__doc__, **fields)  # type: ignore[call-overload]
        return made

    return with_defaults


def validate(form: type[Run], values: Mapping[str, Any], where: str) -> Run:
    """The form filled with values, if they are allowed.

    Raises:
        SettingsError: naming `where`, each wrong field, and its allowed values.
    """
    try:
        return form(**values)
    except pydantic.ValidationError as fault:
        raise SettingsError(f"{where}: {_in_words(fault)}") from fault


def refuse_unknown_sections(path: Path | None) -> None:
    """Refuse a settings file that names an asset without settings: a misspelt section must not be ignored.

    Raises:
        SettingsError: naming the section, and the sections that exist.
    """
    unknown = sorted(set(load_settings()) - _assets_with_settings)
    if unknown:
        known = ", ".join(sorted(_assets_with_settings))
        raise SettingsError(f"{path}: no asset with settings is called {', '.join(unknown)}: choose one of {known}")


def _with_default(form: type[pydantic.BaseModel], name: str, value: object) -> pydantic.fields.FieldInfo:
    field = copy.copy(form.model_fields[name])
    field.default = value
    return field


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _in_words(fault: pydantic.ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}, found {reprlib.repr(one['input'])}"
        for one in fault.errors()
    )
