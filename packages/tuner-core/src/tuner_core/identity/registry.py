"""The known providers: those that come with the package and those that an application registers.

Every module of `tuner_core.identity.providers` is one provider: a file more there is a provider more here.
"""

from __future__ import annotations

import pkgutil
import threading
from importlib import import_module

from tuner_core.errors import ConfigError
from tuner_core.identity.description import Provider


class _Registry:
    """Registered providers before built-in ones; readers see a whole tuple, writers take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registered: tuple[Provider, ...] = ()
        self._built_in: tuple[Provider, ...] = ()

    @property
    def registered(self) -> tuple[Provider, ...]:
        return self._registered

    @property
    def built_in(self) -> tuple[Provider, ...]:
        if not self._built_in:
            package = import_module("tuner_core.identity.providers")
            names = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
            modules = [import_module(f"{package.__name__}.{name}") for name in names]
            self._built_in = tuple(module.PROVIDER for module in modules)
        return self._built_in

    def register(self, provider: Provider, *, replace: bool) -> None:
        provider.check()
        with self._lock:
            others = tuple(known for known in self._registered if known.name != provider.name)
            taken = {name for known in others for name in (known.name, *known.aliases)}
            if len(others) != len(self._registered) and not replace:
                raise ConfigError(
                    f"provider {provider.name!r} is registered already; "
                    "pass replace=True to put the new description in its place"
                )
            clash = sorted(taken & {provider.name, *provider.aliases})
            if clash:
                raise ConfigError(f"provider {provider.name!r}: the name {clash[0]!r} is another provider's")
            self._registered = (*others, provider)

    def unregister(self, name: str) -> None:
        with self._lock:
            self._registered = tuple(known for known in self._registered if known.name != name)


_registry = _Registry()


def register_provider(provider: Provider, *, replace: bool = False) -> None:
    """Make `resolve` know another provider, in the whole process and from any thread.

    A registered provider is asked before the built-in ones, and one with a built-in provider's name takes its place.

    Args:
        provider: the description; `Provider` shows an example.
        replace: put it in the place of one registered before under the same name.

    Raises:
        ConfigError: the name is registered already, or the description cannot work.
    """
    _registry.register(provider, replace=replace)


def unregister_provider(name: str) -> None:
    """Forget a registered provider, if there is one of that name; built-in ones stay."""
    _registry.unregister(name)


def providers() -> tuple[Provider, ...]:
    """All known providers: registered ones first, then the built-in ones that none of them replaced, by name."""
    registered = _registry.registered
    replaced = {provider.name for provider in registered}
    return (*registered, *(known for known in _registry.built_in if known.name not in replaced))


def registered_providers() -> tuple[Provider, ...]:
    """The providers that the application registered, in that order."""
    return _registry.registered


def find_provider(name: str) -> Provider | None:
    """The provider of that name or alias, in any case; None when there is none."""
    wanted = name.strip().lower()
    known = providers()
    return next((entry for entry in known if entry.name == wanted), None) or next(
        (entry for entry in known if wanted in entry.aliases), None
    )
