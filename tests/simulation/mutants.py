"""Ways to break the product, each of which the simulator must notice; written before the run."""

from collections.abc import Sequence

from tests.simulation.mutant import Mutant
from tests.simulation.mutants_at_once import AT_ONCE
from tests.simulation.mutants_of_alerts import OF_ALERTS
from tests.simulation.mutants_of_asking import OF_ASKING
from tests.simulation.mutants_of_guards import OF_GUARDS
from tests.simulation.mutants_of_lanes import OF_LANES
from tests.simulation.mutants_of_runs import OF_RUNS
from tests.simulation.mutants_of_secrets import OF_SECRETS
from tests.simulation.mutants_of_sizes import OF_SIZES
from tests.simulation.mutants_of_the_first_change import OF_THE_FIRST_CHANGE
from tests.simulation.mutants_of_the_journal import OF_THE_JOURNAL
from tests.simulation.mutants_of_the_plan import OF_THE_PLAN

MUTANTS: Sequence[Mutant] = (
    *OF_ALERTS,
    *OF_RUNS,
    *OF_THE_FIRST_CHANGE,
    *OF_GUARDS,
    *OF_THE_PLAN,
    *AT_ONCE,
    *OF_LANES,
    *OF_ASKING,
    *OF_THE_JOURNAL,
    *OF_SECRETS,
    *OF_SIZES,
)
