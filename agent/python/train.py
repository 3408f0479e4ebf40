"""Trains one run with LLaMA-Factory inside this process, so that it can be stopped and continued without losing work.

`train.py --run-directory DIR --attempt N [--resume CHECKPOINT] [--save-seconds S]`, started by the supervisor (by torchrun where several
train together; `--follow`: attempt and checkpoint are what rank 0 has), reads the arguments from DIR/spec.json and appends its reports to DIR/reports.jsonl. SIGTERM or SIGINT: save a checkpoint after this step and
end. SIGUSR1: save a checkpoint and go on. LLaMA-Factory's own abort would write a final-looking adapter, exit 0 and
keep no optimizer state.

Exit codes: 0 all steps are done (the `done` report proves it, not the code); 1 an exception, told in a `fault` report;
75 stopped, and can be continued; 76 another trainer holds the run, or another supervisor took it over.
"""

import argparse
import gc
import json
import os
import sys
import traceback
from pathlib import Path

from train_guard import Guard, end_now
from train_ranks import Ranks, SilentReports, load_on_numbered_cpus
from train_reports import Reports


def main() -> int:
    os.umask(0o077)
    options = read_options()
    directory = Path(options.run_directory)
    ranks = Ranks()
    if ranks.leads:
        reports = Reports(directory / "reports.jsonl", options.attempt)
    else:
        reports = SilentReports(directory / "ranks", ranks.rank)
    guard = Guard(directory, reports, ranks.together)
    if ranks.leads:
        guard.take_lock()
    guard.watch()
    reports.send("start", pid=os.getpid())
    try:
        options.attempt, options.resume = ranks.share_launch(options.attempt, options.resume, options.follow)
        train(directory, options, reports, guard, ranks)
        return 0
    except BaseException as error:
        traceback.print_exc()
        reports.send(
            "fault", type=type(error).__name__, message=one_line(error), phase=reports.phase, step=reports.step
        )
        return 1


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-directory", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--resume")
    parser.add_argument("--save-seconds", type=float, default=600)
    parser.add_argument("--follow", action="store_true")
    return parser.parse_args()


def train(directory: Path, options: argparse.Namespace, reports, guard: Guard, ranks: Ranks) -> None:
    spec = json.loads((directory / "spec.json").read_text(encoding="utf-8"))
    arguments = dict(spec["arguments"])
    # It would switch resuming off and delete the log.
    arguments.pop("overwrite_output_dir", None)
    arguments["disable_tqdm"] = True
    arguments.setdefault("report_to", "none")
    # We drop old checkpoints ourselves, after the new one has its marker: transformers does so before, and a kill
    # between the two would leave none.
    keep = arguments.pop("save_total_limit", None) or 2
    # False, not None: with None LLaMA-Factory picks the highest checkpoint by itself, whether torn or not.
    arguments["resume_from_checkpoint"] = options.resume or False
    choose_devices(spec["device"], ranks)
    if ranks.together and spec["device"] == "cpu":
        arguments.setdefault("ddp_backend", "gloo")
    if ranks.over_nodes:
        # One node prepares the data for all: they share the disk that it is cached on.
        arguments["data_shared_file_system"] = True

    reports.enter("importing")
    # What is imported stays: looking through it for garbage is a tenth of this.
    gc.disable()
    # Not at the top: this takes 15 s, and the lock and the signal handlers must be there before.
    from llamafactory.train.tuner import run_exp
    from train_callback import RunCallback, end_at_last_step

    gc.freeze()
    gc.enable()
    require_gpu(spec["device"])
    if spec["device"] == "cpu" and not arguments.get("bf16") and not arguments.get("pure_bf16"):
        compute_in_float32()
    end_at_last_step()
    if ranks.together and spec["device"] == "cpu":
        load_on_numbered_cpus()
    reports.enter("loading")
    callback = RunCallback(reports, guard, ranks, keep=int(keep), save_seconds=options.save_seconds)
    run_exp(arguments, callbacks=[callback])
    callback.finish()


def choose_devices(device: str, ranks: Ranks) -> None:
    """One process trains on one GPU: the first of those that we may use; of several, each on that of its LOCAL_RANK. torch is not imported yet."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return
    if ranks.together:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[0]
    if len(visible) > 1:
        print(f"Training uses one GPU, {visible[0]} of {','.join(visible)}.", flush=True)


def compute_in_float32() -> None:
    """Weights that are stored as bf16 are loaded as float32 where oneDNN has no bf16 for this CPU (no AVX-512): there each product
    is a plain loop, 30 times slower than float32. The same is in serve.py, which is one file."""
    import torch
    from llamafactory.model import loader

    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    load_config = loader.load_config

    def in_float32(model_args):
        config = load_config(model_args)
        config.dtype = torch.float32
        return config

    loader.load_config = in_float32


class GpuMissing(Exception):
    """The GPU that the environment was proved on is not there any more."""


def require_gpu(device: str) -> None:
    """Raises GpuMissing before anything is loaded: transformers would go on in silence, on the CPU."""
    import torch

    if device != "cuda" or torch.cuda.is_available():
        return
    try:
        torch.cuda.init()
    except Exception as error:
        raise GpuMissing(one_line(error)) from error
    raise GpuMissing("torch finds no GPU that it can use")


def one_line(error: BaseException) -> str:
    """The first line of the message that says something; KeyError's is the key alone."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__


if __name__ == "__main__":
    code = main()
    # Threads of libraries must not keep a finished trainer alive.
    end_now(code)
