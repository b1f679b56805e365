"""Reports: a pure model of a table, then renderers."""
