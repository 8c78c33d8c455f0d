from sqlalchemy import Connection

from engine.ports.rows import DeadLetter
from engine.store.tx import SqlTx
from tests.services.stores import START


def letter(body: bytes) -> DeadLetter:
    return DeadLetter(body.decode(), "alertmanager", "no name", "", body, START, START)


def test_new_letters_are_counted_with_their_bytes(connection: Connection) -> None:
    tx = SqlTx(connection, lambda: START)
    assert tx.put_dead_letter(letter(b"abc"))
    assert not tx.put_dead_letter(letter(b"abc"))
    assert tx.put_dead_letter(letter(b"de"))
    tx.flush()
    usage = tx.dead_letter_usage()
    assert (usage.letters, usage.size) == (2, 5)
