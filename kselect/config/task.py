"""What is learned."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require

OWN_DATA = ("dev_file", "text_columns", "label_column", "labels", "regression", "metrics", "id_column")


@dataclass
class TaskConfig:
    """Task: what is learned, and from which data."""

    task: str | None = None
    """Task name: synthetic-acceptability (the default), synthetic-entailment, cola, sst2, mrpc, stsb, qqp, mnli, qnli,
    rte or wnli; with train_file, any name, by default that of the file."""
    data_dir: str | None = None
    """Folder of GLUE's data, TSV files or saved by datasets; by default the environment variable KSELECT_DATA or,
    without it, the hub."""
    train_file: str | None = None
    """Data of your own: a TSV, CSV, JSONL or Parquet file with named columns."""
    dev_file: str | None = None
    """Examples for reporting; by default a tenth of train_file is held out."""
    test_file: str | None = None
    """Examples without labels, for `kselect predict`."""
    text_columns: list[str] | None = None
    """Column of the text in your files, or the two of a pair."""
    label_column: str | None = None
    """Column of the label in your files; label by default."""
    labels: list[str] | None = None
    """The labels in your files, in the order of their ids; by default those of train_file, sorted."""
    regression: bool = False
    """Whether the labels in your files are scores."""
    metrics: list[str] | None = None
    """Metrics for your files, out of accuracy, f1, macro_f1, matthews and, for scores, pearson, spearman."""
    id_column: str | None = None
    """Column of a name for each example, that predictions are written with."""
    max_length: int | None = None
    """Longest input in tokens, what is beyond is cut, and counted; by default 128, or what the model takes."""
    reward_fraction: float = 0.1
    """Share of train held out to measure rewards and to choose anything by."""
    train_limit: int | None = None
    """Use only this many examples of train, and of dev (stratified slices), for a quick look."""
    data_seed: int = 0
    """Seed of the splits and of the synthetic data; kept apart from the seed of a run."""

    @property
    def own(self) -> bool:
        """Whether the data are files of one's own."""
        return self.train_file is not None or self.test_file is not None

    def __post_init__(self) -> None:
        for setting in OWN_DATA:
            require(
                self.own or not getattr(self, setting),
                f"{setting} is for data of your own: give train_file, or for predictions test_file, with it.",
            )
        require(
            not self.own or self.data_dir is None, "data_dir is for GLUE's tasks and train_file for your own: give one."
        )
        require(
            not self.own or bool(self.text_columns), "text_columns is missing: name the column of the text, or two."
        )
        require(
            self.max_length is None or self.max_length >= 4, f"max_length is {self.max_length}: give at least 4 tokens."
        )
        require(self.data_seed >= 0, f"data_seed is {self.data_seed}: give 0 or more.")
        require(
            0 < self.reward_fraction < 1,
            f"reward_fraction is {self.reward_fraction}: give a share of train between 0 and 1.",
        )
        require(
            self.train_limit is None or self.train_limit > 0,
            f"train_limit is {self.train_limit}: give a positive number of examples.",
        )
