"""Our part in the training loop: reports each step, saves on request and by time, marks and drops checkpoints."""

import time
from pathlib import Path

from train_checkpoints import mark_complete
from train_ranks import NOTHING, SAVE, STOP
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import SaveStrategy, rotate_checkpoints

# A model whose steps take a millisecond is not worth a line for each.
REPORT_SECONDS = 0.1
# How often it says during an evaluation, which has no steps, that it goes on.
ALIVE_SECONDS = 10.0


class RunCallback(TrainerCallback):
    def __init__(self, reports, guard, ranks, keep: int, save_seconds: float) -> None:
        self.reports = reports
        self.guard = guard
        self.ranks = ranks
        self.keep = keep
        self.save_seconds = save_seconds
        self.saved_at = time.monotonic()
        self.reported_at = 0.0
        # A checkpoint that is written but not yet marked: other callbacks write into it after us.
        self.unmarked = None
        self.asked = False
        # All ranks have agreed to end after this step.
        self.stopped = False
        self.only_model = None
        self.last = None

    def on_init_end(self, args, state, control, **kwargs):
        self.reports.enter("preparing")

    def on_train_begin(self, args, state, control, **kwargs):
        self.reports.step = state.global_step
        self.saved_at = time.monotonic()
        self.reports.enter("training")
        self.reports.send("begin", step=state.global_step, total=state.max_steps, tokens=tokens(state), clock=clock())
        if state.global_step < state.max_steps:
            self.guard.in_steps = True

    def on_step_begin(self, args, state, control, **kwargs):
        self.settle(args, state)

    def on_step_end(self, args, state, control, **kwargs):
        self.reports.step = state.global_step
        ending = state.global_step >= state.max_steps
        now = time.monotonic()
        if ending or now - self.reported_at >= REPORT_SECONDS:
            self.reported_at = now
            self.reports.send("step", step=state.global_step, total=state.max_steps, tokens=tokens(state), clock=clock())
        if ending:
            # Nothing is left to stop: what follows is the writing of the result.
            self.guard.in_steps = False
            self.guard.stopping = False
            return
        wish = self.ranks.agree(self.wish(args, now), args.device)
        if wish != NOTHING:
            self.guard.saving = False
            self.asked = True
            control.should_save = True
            # What we ask for must be resumable, whatever the user's own checkpoints hold.
            self.only_model, args.save_only_model = args.save_only_model, False
        if wish == STOP:
            self.stopped = True
            control.should_training_stop = True

    def wish(self, args, now: float) -> int:
        """What this rank alone would do after the step."""
        if self.guard.stopping:
            return STOP
        by_time = args.save_strategy != SaveStrategy.NO and now - self.saved_at >= self.save_seconds
        return SAVE if self.guard.saving or by_time else NOTHING

    def on_prediction_step(self, args, state, control, **kwargs):
        now = time.monotonic()
        if now - self.reported_at >= ALIVE_SECONDS:
            self.reported_at = now
            self.reports.send("alive")

    def on_log(self, args, state, control, logs=None, **kwargs):
        logs = logs or {}
        if not any(name in logs for name in ("loss", "eval_loss")):
            return
        self.reports.send(
            "log",
            step=state.global_step,
            epoch=logs.get("epoch", state.epoch),
            loss=logs.get("loss"),
            evalLoss=logs.get("eval_loss"),
            learningRate=logs.get("learning_rate"),
            gradNorm=logs.get("grad_norm"),
            tokens=tokens(state),
        )

    def on_save(self, args, state, control, **kwargs):
        self.saved_at = time.monotonic()
        self.unmarked = Path(args.output_dir) / f"checkpoint-{state.global_step}"

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.settle(args, state)

    def on_epoch_end(self, args, state, control, **kwargs):
        self.settle(args, state)
        if self.stopped and state.global_step < state.max_steps:
            self.guard.end_stopped()

    def on_train_end(self, args, state, control, **kwargs):
        self.settle(args, state)
        self.guard.in_steps = False
        self.last = (state.global_step, state.max_steps)
        self.reports.enter("saving")

    def settle(self, args, state) -> None:
        """Marks the checkpoint that was just written, then drops the oldest ones."""
        if self.asked:
            self.asked = False
            args.save_only_model = self.only_model
            resumable = True
        else:
            resumable = not args.save_only_model
        if self.unmarked is None:
            return
        folder, self.unmarked = self.unmarked, None
        # Each rank writes a part of it.
        self.ranks.wait_for_all()
        if self.ranks.leads:
            size = mark_complete(folder, state.global_step, resumable)
            self.reports.send(
                "checkpoint", step=state.global_step, bytes=size, path=str(folder), resumable=resumable
            )
            rotate_checkpoints(
                output_dir=args.output_dir,
                save_total_limit=self.keep,
                best_model_checkpoint=state.best_model_checkpoint,
                use_mtime=True,
            )
        # Nobody goes on, or ends, before it counts.
        self.ranks.wait_for_all()

    def finish(self) -> None:
        """LLaMA-Factory came back: says whether all is done. Fewer steps than planned are early stopping's."""
        if self.last is None:
            raise RuntimeError("LLaMA-Factory returned without training.")
        step, total = self.last
        self.reports.send("done", step=step, total=total)
        self.reports.sync()


def end_at_last_step() -> None:
    """Resumed from a checkpoint that has all steps, transformers does one more before it looks. This looks first."""
    run_epoch = Trainer._run_epoch

    def unless_done(trainer, *args, **kwargs):
        if trainer.state.global_step >= trainer.state.max_steps:
            trainer.control.should_training_stop = True
            return None
        return run_epoch(trainer, *args, **kwargs)

    Trainer._run_epoch = unless_done


def clock() -> int:
    """Milliseconds that no correction of the time of day moves: how long steps take is reckoned by them."""
    return round(time.monotonic() * 1000)


def tokens(state) -> int:
    return int(state.num_input_tokens_seen)
