"""What the suite is made of: sections of behaviours of the managed runtime, each with the cases that show it. All data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from playing import Files
from reference import Better, Expected


@dataclass(frozen=True, kw_only=True)
class Case:
    """One function and what happens to it. Both runtimes play it, and have to look the same to the platform and in the log."""

    name: str
    """What is particular about it, in a few words; unique in its behaviour. The page of behaviours lists it."""
    files: Files
    handler: str = "app.handler"
    events: Sequence[object] = ()
    environment: Mapping[str, str | bytes | None] = field(default_factory=dict)
    """On top of Lambda's own variables; None removes one."""
    script: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the play's script: how the Runtime API answers, signals, pipes."""
    shows: Mapping[str, Expected] = field(default_factory=dict)
    """What both have to show, by place in the view: two runtimes that fail for some other reason agree as well."""
    better: Better | None = None
    """Where ours is meant to differ, and why."""
    free: Mapping[str, str] = field(default_factory=dict)
    """Places that are not compared, with the reason why nobody can depend on them."""
    since: tuple[int, int] = (3, 12)
    """The first Python that has what the case needs."""
    missing: str = ""
    """What ours does not do yet; the case has to fail until it does."""


@dataclass(frozen=True)
class Behaviour:
    """One thing that functions can rely on."""

    id: str
    """A letter for the section and a number: `H3`."""
    text: str
    """One sentence for the page of behaviours."""
    cases: Sequence[Case] = ()
    note: str = ""
    """Why there are no cases, or what else shows it."""


def by_number(behaviours: Iterable[Behaviour]) -> list[Behaviour]:
    """A section's behaviours where several modules hold them."""
    return sorted(behaviours, key=lambda behaviour: int(behaviour.id[1:]))


@dataclass(frozen=True)
class Section:
    """Behaviours that belong together."""

    title: str
    behaviours: Sequence[Behaviour]

    def cases(self) -> Iterator[tuple[Behaviour, Case]]:
        for behaviour in self.behaviours:
            for case in behaviour.cases:
                yield behaviour, case
