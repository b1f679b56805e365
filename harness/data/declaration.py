"""What a task without Python declares: its data, what of a row is what, which rows, and its card."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from warmup_bench.contracts.names import PATTERN
from warmup_bench.contracts.task import Scale, SplitName
from warmup_bench.data.fields import columns_of
from warmup_bench.data.layout import REVISION
from warmup_bench.data.tables import Format

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Section):
    """Where the rows are: a data set of the hub, files of a GitHub repository, or local files."""

    hub: Name | None = Field(default=None, description="data set of the Hugging Face hub, OWNER/NAME")
    github: Name | None = Field(default=None, description="repository, OWNER/NAME; needs files")
    revision: str = Field(
        default="",
        description="commit, 40 hex digits; none: the newest of a hub data set, looked up once",
    )
    config: str = Field(default="", description="configuration of a hub data set")
    splits: dict[SplitName, str] = Field(
        default_factory=dict, description="names of the splits of a hub data set, where they are others"
    )
    files: dict[SplitName, str | list[str] | dict[str, str]] = Field(
        default_factory=dict,
        description="of each split: a path, paths, or a text file a column; in the repository, or beside "
        "this file, where * stands for any name",
    )
    format: Format | None = Field(
        default=None, description="json (lines or a list), csv, tsv, parquet; else by the files' names"
    )
    field: str = Field(default="", description="where the rows stand in a JSON object")
    folder: str = Field(default="", description="name of the folder with the files below --data-dir")
    access: str = Field(default="", description="what to do to get data that can't just be fetched")

    @model_validator(mode="after")
    def _one_place(self) -> "Data":
        if self.hub and self.github:
            raise ValueError("data are on the hub or on GitHub, not on both")
        if not self.hub and not self.files:
            raise ValueError("data need files, or hub: OWNER/NAME")
        if self.github and not REVISION.fullmatch(self.revision):
            raise ValueError("data of GitHub need revision: and the 40 hex digits of a commit")
        if not self.hub and (self.config or self.splits):
            raise ValueError("config and splits are for data of the hub")
        return self

    @property
    def place(self) -> str:
        """Its repository, or nothing."""
        return self.hub or self.github or ""


class Columns(_Section):
    """What of a row is what: a column, a part of one (``answers.text[0]``; ``[*]`` joins all of a list by
    spaces), or a template (``{a}: {b}``).
    """

    source: str = Field(description="what the model reads")
    target: str = Field(default="", description="what it is trained to write; else the first reference")
    references: str | list[str] = Field(
        default_factory=list, description="a column that holds a list, or columns; else the target"
    )
    options: str | list[str] = Field(
        default_factory=list, description="multiple choice: a column that holds a list, or columns"
    )
    option_labels: str = Field(
        default="", description="column with the list of their printed labels, which the answer names"
    )
    most_options: int = Field(default=4, ge=2, le=10, description="how many a question has at most")
    answer: str = Field(default="", description="multiple choice: the right option")
    answer_is: Literal["number", "letter", "text"] | None = Field(
        default=None, description="how; needed but for columns of whole numbers"
    )
    answer_from: Literal[0, 1] = Field(default=0, description="number of the first option")
    labels: list[str] | dict[str, str] = Field(
        default_factory=list,
        description="classification: the labels, or what stands in the target's column to its label",
    )
    group: str = Field(default="", description="document of a row: its rows are swapped and counted together")
    id: str = Field(default="", description="unique in its split; else split and row")

    @field_validator("labels", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        def text(part: Any) -> Any:
            if isinstance(part, bool):
                return str(part).lower()
            return str(part) if isinstance(part, int | float) else part

        if isinstance(value, dict):
            return {text(key): text(label) for key, label in value.items()}
        return [text(label) for label in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _complete(self) -> "Columns":
        if self.option_labels and (self.answer_is or not self.options):
            raise ValueError("option_labels are of options, and the answer is one of them")
        if bool(self.options) != bool(self.answer):
            raise ValueError("options and answer go together")
        if self.options and (self.target or self.references or self.labels):
            raise ValueError("with options the target is the letter of the right one: leave out the others")
        if not (self.options or self.target or self.references):
            raise ValueError("name a target, references, or options and answer")
        if self.labels and (not self.target or self.references):
            raise ValueError("labels are of the target")
        if isinstance(self.labels, list) and len(set(self.labels)) < len(self.labels):
            raise ValueError("labels repeat a value")
        for field in self.fields():
            list(columns_of(field))
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """The closed set of targets of a classification, in the order in which they are first named."""
        named = self.labels.values() if isinstance(self.labels, dict) else self.labels
        return tuple(dict.fromkeys(named))

    def fields(self) -> list[str]:
        """All that is read of a row."""
        single = [self.source, self.target, self.answer, self.option_labels, self.group, self.id]
        for several in (self.references, self.options):
            single += [several] if isinstance(several, str) else several
        return [field for field in single if field]


class Rows(_Section):
    """Which rows are used."""

    keep: dict[str, Any] = Field(
        default_factory=dict, description="column to the value, or to the list of values, that it must have"
    )
    empty: Literal["error", "drop"] = Field(
        default="error", description="what becomes of a row without a source or a target"
    )


class Split(_Section):
    """Splits that the data set does not have: drawn from its training rows, whole groups where it has groups.

    A training example of which a text stands in a drawn split is left out.
    """

    validation: int | float | None = Field(default=None, gt=0, description="rows, or a share below 1")
    test: int | float | None = Field(default=None, gt=0, description="rows, or a share below 1")
    seed: int = Field(default=0, ge=0, description="of the draw")


class Declaration(_Section):
    """A task, as its YAML file has it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.+-]*$", description="shown in tables")
    version: int = Field(default=1, ge=1, description="raise it when a change alters the examples")
    title: str = Field(default="", description="one line")
    licence: str = Field(default="", description="of the data")
    citation: str = Field(default="", description="whose the data are")
    metrics: list[str] = Field(min_length=1, description="the first one is the main metric")
    language: str = Field(default="", description="of source and target")
    source_language: str = Field(default="", description="of the source, where they differ")
    target_language: str = Field(default="", description="of the target: metrics choose tokenisers by it")
    note: str = Field(default="", description="what is special about it")
    data: Data
    columns: Columns
    rows: Rows = Rows()
    split: Split = Split()
    subsets: dict[Annotated[str, Field(pattern=PATTERN)], dict[str, Any]] = Field(
        default_factory=dict, description="name to the keys above that differ in it, e.g. a direction de-en"
    )
    scales: dict[Scale, dict[str, Any]] = Field(
        default_factory=dict,
        description="mini, small, paper to the backbone and the settings of a run; else mini-t5 and t5-small",
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="of every scale, as a spec has them")

    @property
    def languages(self) -> tuple[str, str]:
        """Of source and target."""
        return (
            self.source_language or self.language or "en",
            self.target_language or self.language or "en",
        )
