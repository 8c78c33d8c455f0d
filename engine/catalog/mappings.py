"""Mapping files: read beside quell.yaml, every mistake told with its file, line and column."""

from pathlib import Path

from engine.catalog.parsing import parse
from engine.catalog.sources import Kind, SourceFile
from engine.core.alert_mapping import AlertMapping, MappingDocument, compile_mapping
from engine.core.findings import Finding
from engine.errors import ConfigError


def read_mapping(path: Path) -> AlertMapping:
    """The mapping of a file. Raises ConfigError with all of its mistakes."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the mapping {str(path)!r} can't be read: {error.strerror}") from error
    findings: list[Finding] = []
    source = SourceFile(Kind.MAPPING, path.name, str(path), text, shipped=False)
    parsed = parse(source, MappingDocument, findings)
    if parsed is not None:
        mapping = compile_mapping(parsed.document, parsed.mistakes)
        findings += parsed.findings()
        if mapping is not None and not findings:
            return mapping
    raise ConfigError(f"the mapping {str(path)!r} is not valid", sorted(set(findings)))
