"""Scopes declare dotted names; objects become one name per field."""

from engine.core.expression_types import FunctionType, Scope, ValueType

ALERT = ValueType.object_of({"name": ValueType.STRING, "labels": ValueType.LABELS})


def test_an_object_becomes_one_dotted_name_per_field() -> None:
    scope = Scope().with_("alert", ALERT)
    assert scope.names == {"alert.name": ValueType.STRING, "alert.labels": ValueType.LABELS}


def test_nested_objects_are_flattened_to_the_end() -> None:
    scope = Scope().with_("steps", ValueType.object_of({"restart": ALERT}))
    assert set(scope.names) == {"steps.restart.name", "steps.restart.labels"}


def test_a_list_of_objects_stays_one_name() -> None:
    alerts = ValueType.list_of(ALERT)
    assert Scope().with_("alerts", alerts).names == {"alerts": alerts}


def test_adding_a_name_leaves_the_scope_as_it_was() -> None:
    scope = Scope()
    scope.with_("a", ValueType.INT)
    assert scope.names == {}


def test_the_other_scope_counts_where_both_declare_a_name() -> None:
    mine = Scope({"a": ValueType.INT, "b": ValueType.INT})
    other = Scope({"b": ValueType.BOOL}, {"failure": FunctionType((), ValueType.BOOL)})
    merged = mine.merged(other)
    assert merged.names == {"a": ValueType.INT, "b": ValueType.BOOL}
    assert set(merged.functions) == {"failure"}


def test_labels_are_found_at_any_depth() -> None:
    assert ValueType.list_of(ALERT).has_labels
    assert not ValueType.list_of(ValueType.STRING).has_labels


def test_types_are_spelled_as_in_messages() -> None:
    assert str(ValueType.list_of(ValueType.map_of(ValueType.DYN))) == "list(map(dyn))"
