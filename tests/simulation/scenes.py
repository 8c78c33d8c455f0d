"""What a simulated team has in force: each seed draws one scene."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random

from tests.doubles.written import WrittenCatalog, a_catalog
from tests.simulation.scheduler import Scheduler
from tests.simulation.written import (
    CHOOSE,
    FLEET,
    INVENTORY,
    LANES,
    MEND,
    RELIEVE,
    REPLACE,
    REWARM,
    RULES,
)
from tests.simulation.written_guarded import (
    CHAIN,
    ECHO,
    FRAIL,
    FREEZE,
    HURRY,
    LIMITS,
    SPARE,
    WAVE,
)

TEXTS = {
    "mend": MEND,
    "rewarm": REWARM,
    "fleet": FLEET,
    "choose": CHOOSE,
    "replace": REPLACE,
    "relieve": RELIEVE,
    "hurry": HURRY,
    "frail": FRAIL,
    "spare": SPARE,
    "wave": WAVE,
    "chain": CHAIN,
    "lanes": LANES,
    "echo": ECHO,
}
# How often people have which order in mind.
USUAL_ORDERS: Mapping[str, float] = {
    "approve": 0.86,
    "reject": 0.03,
    "cancel": 0.03,
    "stop": 0.02,
    "run": 0.06,
}


@dataclass(frozen=True, eq=False)
class Scene:
    """Which playbook mends which alert, how far the rules go, and what the policy says.

    `raised` is how far they go once somebody has edited them and a second person agrees. `others`
    are the playbooks that follow or are called, `orders` what people here have in mind beside the
    usual. Where it is `busy` a host's alerts, one after the other of `fire`, come within `apart_s`,
    those of `clear` are over some day, and people do more in less time. With `gets_worse` what is
    slow may become grave.
    """

    name: str
    modes: Sequence[str] = ("approve", "approve", "auto")
    down: str = "mend"
    slow: str = "rewarm"
    others: tuple[str, ...] = ()
    search: str = "llm"
    policy: str = ""
    raised: str = ""
    busy: bool = False
    fire: tuple[str, ...] = ("Down", "Slow")
    apart_s: float = 3.0
    clear: tuple[str, ...] = ("Down", "Slow")
    gets_worse: bool = False
    orders: Mapping[str, float] = field(default_factory=dict)

    @property
    def playbooks(self) -> tuple[str, ...]:
        """Those that a person may start."""
        return self.down, self.slow

    @property
    def all_orders(self) -> Mapping[str, float]:
        """What people have in mind, by its weight."""
        return {**USUAL_ORDERS, **({"run": 0.3} if self.busy else {}), **self.orders}


PLAIN = Scene("plain")
FLEETS = Scene(
    "fleets",
    modes=("approve", "auto", "auto"),
    down="fleet",
    orders={"cancel": 0.06, "roll back": 0.06},
)
CHOICES = Scene(
    "choices",
    modes=("approve", "auto"),
    down="choose",
    others=("mend", "replace"),
    orders={"answer": 0.6, "roll back": 0.06},
)
RELIEF = Scene("relief", slow="relieve", gets_worse=True, orders={"roll back": 0.1, "keep": 0.04})
STORMS = Scene(
    "storms",
    modes=("auto",),
    slow="relieve",
    search="search",
    policy="language: 1\nstorm_brake: {fraction: 10%, services: 2, within: 1m}\n",
    orders={"lift": 0.1},
)
RAISES = Scene(
    "raises",
    modes=("approve",),
    policy="language: 1\nsecond_person_for: [auto]\n",
    raised="auto",
    orders={"confirm": 0.2},
)
CROWDS = Scene("crowds", modes=("auto",), down="hurry", slow="hurry", policy=FREEZE, busy=True)
BOUNDS = Scene(
    "bounds",
    modes=("auto",),
    down="wave",
    slow="spare",
    search="search",
    policy=LIMITS,
    busy=True,
)
BREAKERS = Scene(
    "breakers",
    modes=("auto",),
    down="frail",
    slow="frail",
    busy=True,
    orders={"try": 0.3, "roll back": 0.06},
)
DRILLS = Scene(
    "drills",
    modes=("auto",),
    down="chain",
    slow="chain",
    busy=True,
    orders={"stop": 0.3, "cancel": 0.3},
)
SIDES = Scene(
    "sides",
    modes=("auto",),
    down="lanes",
    policy=FREEZE,
    busy=True,
    orders={"cancel": 0.3, "stop": 0.06, "roll back": 0.06},
)
ECHOES = Scene(
    "echoes",
    modes=("auto",),
    down="echo",
    busy=True,
    fire=("Down", "Slow", "Odd"),
    apart_s=25.0,
    clear=("Down",),
)
# Of a hundred histories so many play there.
SCENES: Mapping[Scene, int] = {
    CROWDS: 7,
    BOUNDS: 7,
    BREAKERS: 7,
    DRILLS: 7,
    SIDES: 7,
    ECHOES: 7,
    PLAIN: 13,
    FLEETS: 9,
    CHOICES: 9,
    RELIEF: 9,
    STORMS: 9,
    RAISES: 9,
}


def _drawn(random: Random) -> Scene:
    """Before anything else is."""
    return random.choices([*SCENES], [*SCENES.values()])[0]


def scene_of(seed: int) -> str:
    """The name of the scene that this seed draws."""
    return _drawn(Random(seed)).name


def a_scene(scheduler: Scheduler) -> tuple[Scene, str]:
    """One of them, and the mode of its rules."""
    random = scheduler.random
    scene = _drawn(random)
    scheduler.counts[f"scene: {scene.name}"] += 1
    return scene, random.choice(scene.modes)


@cache
def _loaded(scene: str, mode: str) -> WrittenCatalog:
    (of,) = (each for each in SCENES if each.name == scene)
    rules = RULES
    for word, value in {"{mode}": mode, "{down}": of.down, "{slow}": of.slow}.items():
        rules = rules.replace(word, value)
    texts = [TEXTS[name] for name in {*of.playbooks, *of.others}]
    inventory = INVENTORY.replace("%s", of.search)
    with tempfile.TemporaryDirectory() as folder:
        return a_catalog(Path(folder), rules, *texts, inventory=inventory, policy=of.policy)


def simulated_catalog(scene: Scene, mode: str) -> WrittenCatalog:
    """As its files say, with both rules in this mode; its owner may put another in force."""
    return replace(_loaded(scene.name, mode))
