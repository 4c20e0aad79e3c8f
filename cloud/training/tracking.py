"""Runs are tracked with MLflow, in a local folder unless MLFLOW_TRACKING_URI says otherwise."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any


class Tracking:
    """One run: parameters, figures by epoch, files. Does nothing where MLflow is not installed."""

    def __init__(self, name: str, folder: Path) -> None:
        self.available = importlib.util.find_spec("mlflow") is not None
        self._name, self._folder = name, folder
        self._mlflow: Any = None

    def __enter__(self) -> Tracking:
        if self.available:
            # the folder store needs no server and no database; MLflow asks to be told that it is wanted
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            self._mlflow = importlib.import_module("mlflow")
            if not os.environ.get("MLFLOW_TRACKING_URI"):
                self._mlflow.set_tracking_uri((self._folder / "mlruns").resolve().as_uri())
            self._mlflow.set_experiment("cellkeeper-soc")
            self._mlflow.start_run(run_name=self._name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mlflow is not None:
            self._mlflow.end_run("FINISHED" if error is None else "FAILED")

    def parameters(self, values: Mapping[str, Any]) -> None:
        """What the run was told."""
        if self._mlflow is not None:
            self._mlflow.log_params(dict(values))

    def figures(self, values: Mapping[str, float], epoch: int) -> None:
        """Figures of an epoch."""
        if self._mlflow is not None:
            self._mlflow.log_metrics(dict(values), step=epoch)

    def files(self, paths: Sequence[Path]) -> None:
        """What the run made."""
        if self._mlflow is not None:
            for path in paths:
                self._mlflow.log_artifact(str(path))
