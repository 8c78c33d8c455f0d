"""What a surface reads of an incident's story: all of a usual one, and of any other both ends.

A storm or a flapping alert makes a chain of any length, and a surface is shown again with every
news: what it reads has to be bounded, or a long incident would cost the square of its length.
"""

from collections.abc import Sequence

from engine.core import events
from engine.core.incident import Incident, chain_of
from engine.core.journal import Entry
from engine.ports.store import Tx

# Entries of one story: its beginning, the latest run from its beginning, and its end.
FROM_START = 30
FROM_RUN = 400
FROM_END = 100

# What comes and goes while a run is under way, and says nothing of the run.
COMING_AND_GOING = (
    events.OccurrenceJoined.KIND,
    events.OccurrenceEnded.KIND,
    events.OccurrenceAbsorbed.KIND,
)


def story_of(tx: Tx, incident: Incident) -> Sequence[Entry]:
    """The chain, in order; of a long one the parts that are named above, with gaps between them."""
    chain = chain_of(incident.id)
    last, _ = tx.head(chain)
    parts = [tx.entries(chain, limit=FROM_START)]
    if last > FROM_START:
        end = max(last - FROM_END, FROM_START)
        if incident.run_id and (created := tx.last_entry(chain, events.RunCreated.KIND)):
            since = max(created.seq - 1, FROM_START)
            parts.append(
                tx.entries(chain, after_seq=since, without=COMING_AND_GOING, limit=FROM_RUN)
            )
        parts.append(tx.entries(chain, after_seq=end))
    return [entry for _, entry in sorted({e.seq: e for part in parts for e in part}.items())]
