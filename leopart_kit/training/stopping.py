"""The ways a run ends early: asked to stop, or the numbers went wrong."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType

# The last is SLURM's, some time before the limit of a job; Windows has none.
_ASKING = [signal.SIGTERM, signal.SIGINT, *filter(None, [getattr(signal, "SIGUSR1", None)])]


class TrainingInterrupted(RuntimeError):
    """A signal asked the run to stop; the state after `step` steps is in `checkpoint`."""

    def __init__(self, signal_name: str, step: int, checkpoint: Path) -> None:
        super().__init__(
            f"stopped by {signal_name} after step {step}; start the same command again "
            f"(trainer.resume=auto) to continue from {checkpoint}"
        )
        self.signal_name = signal_name
        self.step = step
        self.checkpoint = checkpoint


class NonFiniteLoss(RuntimeError):
    """The loss, the gradients or the weights became NaN or infinite at `step`.

    checkpoint: the newest good one, None when none was written.
    """

    def __init__(self, what: str, step: int, checkpoint: Path | None) -> None:
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint yet"
        super().__init__(
            f"{what} at step {step}; {kept}. Try a lower learning rate, clip_norm or precision "
            "32-true"
        )
        self.step = step
        self.checkpoint = checkpoint


class StopRequest:
    """While active, SIGTERM, SIGINT and SIGUSR1 only leave a note, so that a step can be finished.

    A second signal acts as usual. Outside the main thread, where Python allows no handlers, it
    does nothing.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _ASKING:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._previous.clear()
