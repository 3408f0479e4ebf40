"""Measures what training needs of a GPU, for the estimates in recipe/estimates: `python measure_memory.py OUT [WORK]`.

For each of SETTINGS a process of its own runs LLaMA-Factory's `run_exp` for a few steps, on a model of a published shape
with random weights (memory and speed depend on shapes, not on what was learnt) and rows as long as the cutoff. OUT
gets one JSON line a setting: the peaks that PyTorch's allocator saw, what the driver holds beside it, seconds a step.
It needs the locked environment, liger-kernel and bitsandbytes, a GPU, and as much disk as the largest shape's weights.
While one setting has the GPU, the next one already imports. `--self-test` runs one tiny setting on a CPU.
"""

import argparse
import fcntl
import json
import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path

from memory_settings import HELD_OUT, SELF_TEST, SETTINGS, SEVERAL, SHAPES


def make_model(folder, shape, device):
    """Config, random bf16 weights and a tokenizer of single bytes; the vocabulary of the logits is the config's."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    folder.mkdir(parents=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet]
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    fast.save_pretrained(folder)
    special = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}
    config = AutoConfig.for_model(**SHAPES[shape], **special, max_position_embeddings=32768, dtype="bfloat16")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        names = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    if config.tie_word_embeddings:
        names.pop("lm_head.weight", None)
    torch.manual_seed(7)
    shard, size, shards, index = {}, 0, 0, {}

    def flush():
        nonlocal shard, size, shards
        if shard:
            shards += 1
            file = f"model-{shards:05d}.safetensors"
            save_file(shard, folder / file, metadata={"format": "pt"})
            index.update(dict.fromkeys(shard, file))
            shard, size = {}, 0

    for name, dimensions in names.items():
        if name.endswith("norm.weight"):
            made = torch.ones(dimensions, dtype=torch.bfloat16)
        else:
            made = torch.empty(dimensions, dtype=torch.bfloat16, device=device).normal_(0, 0.02).cpu()
        shard[name] = made
        size += made.nbytes
        if size > 2e9:
            flush()
    flush()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def make_rows(folder):
    """`full`: longer than any cutoff. `mixed`: of even spread between 200 and 1004 tokens, 602 on average."""
    draw = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz "

    def text(length):
        return "".join(draw.choices(letters, k=length))

    folder.mkdir(parents=True)
    # 43 tokens are the template's own.
    rows = {
        "full": [{"instruction": text(64), "input": "", "output": text(5000)} for _ in range(64)],
        "mixed": [{"instruction": text(40), "input": "", "output": text(draw.randint(120, 924))} for _ in range(256)],
    }
    for name, made in rows.items():
        (folder / f"{name}.json").write_text(json.dumps(made))
    (folder / "dataset_info.json").write_text(json.dumps({name: {"file_name": f"{name}.json"} for name in rows}))


def train(chosen, work, out):
    """One setting in this process; writes its line and ends the process, before anything is saved."""
    begun = time.monotonic()
    import torch
    import transformers
    from llamafactory.train.tuner import run_exp

    on_gpu = chosen["shape"] != "tiny"
    leads = os.environ.get("RANK", "0") == "0"
    if leads:
        # The others wait for it where they meet.
        lock = open(work / "gpu.lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    imported = time.monotonic()
    cuda = torch.cuda
    facts = {}
    if "card" in chosen:
        cuda.set_per_process_memory_fraction(chosen["card"] / cuda.get_device_properties(0).total_memory)

    class Probe(transformers.TrainerCallback):
        def __init__(self):
            self.ends = []
            self.tokens = []

        def clock(self):
            if on_gpu:
                cuda.synchronize()
            return time.monotonic()

        def on_train_begin(self, args, state, control, **kwargs):
            self.start = self.clock()
            if on_gpu:
                facts["loadPeakBytes"] = cuda.max_memory_allocated()
                facts["beforeTrainingBytes"] = cuda.memory_allocated()
                cuda.empty_cache()
                cuda.reset_peak_memory_stats()

        def on_step_end(self, args, state, control, **kwargs):
            self.ends.append(self.clock())
            self.tokens.append(int(state.num_input_tokens_seen))
            if on_gpu and len(self.ends) == 1:
                facts["firstStepPeakBytes"] = cuda.max_memory_allocated()

        def on_train_end(self, args, state, control, **kwargs):
            if on_gpu:
                free, total = cuda.mem_get_info()
                facts["allocatedPeakBytes"] = cuda.max_memory_allocated()
                facts["reservedPeakBytes"] = cuda.max_memory_reserved()
                facts["outsideAllocatorBytes"] = total - free - cuda.memory_reserved()
            facts["secondsToFirstStep"] = round(self.start - imported, 1)
            facts["stepSeconds"] = [round(end - start, 3) for start, end in zip([self.start, *self.ends], self.ends)]
            facts["stepTokens"] = [end - start for start, end in zip([0, *self.tokens], self.tokens)]
            facts["trainableParameters"] = sum(p.numel() for p in kwargs["model"].parameters() if p.requires_grad)
            finish()

    def finish():
        if not leads:
            os._exit(0)
        facts["importSeconds"] = round(imported - begun, 1)
        with open(out, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({**chosen, **facts}) + "\n")
        print("\nMEASURED", json.dumps({**chosen, **facts}), flush=True)
        os._exit(0)

    arguments = {
        "model_name_or_path": str(work / chosen["shape"]),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "template": "qwen",
        "dataset": chosen["rows"],
        "dataset_dir": str(work / "rows"),
        "output_dir": str(work / f"output-{os.getpid()}"),
        "cutoff_len": chosen["cutoff"],
        "max_steps": chosen["steps"],
        "per_device_train_batch_size": chosen["batch"],
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-4,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "include_num_input_tokens_seen": "non_padding",
        **({"bf16": True} if on_gpu and not chosen["arguments"].get("pure_bf16") else {}),
        **({} if on_gpu else {"use_cpu": True}),
        **chosen["arguments"],
    }
    try:
        run_exp(arguments, callbacks=[Probe()])
    except Exception as error:
        facts["error"] = f"{type(error).__name__}: {error}"[:400]
        if on_gpu:
            facts["allocatedPeakBytes"] = cuda.max_memory_allocated()
        import traceback

        traceback.print_exc()
        finish()


def measure(out, work, chosen, seconds):
    """Two processes at a time: one on the GPU, one importing."""
    end = time.monotonic() + seconds
    waiting, live = list(enumerate(chosen)), []
    while live or (waiting and time.monotonic() < end):
        while len(live) < 2 and waiting and time.monotonic() < end:
            number, _ = waiting.pop(0)
            cards = chosen[number].get("cards", 1)
            launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={cards}"] if cards > 1 else []
            words = [sys.executable, *launcher, __file__, str(out), str(work), "--one", json.dumps(chosen[number])]
            log = open(work / f"setting-{number}.log", "w")
            live.append((number, subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT), time.monotonic()))
        time.sleep(0.2)
        for entry in list(live):
            number, child, since = entry
            if child.poll() is None and time.monotonic() - since > 200:
                child.kill()
            if child.poll() is not None:
                live.remove(entry)
                text = (work / f"setting-{number}.log").read_text()
                found = [line for line in text.splitlines() if line.startswith("MEASURED")]
                print(f"{time.monotonic():.0f} {number}: {found[-1][9:] if found else text[-1500:]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("work", type=Path, nargs="?", default=Path("measure"))
    parser.add_argument("--one", help="internal: one setting as JSON")
    parser.add_argument("--make", help="internal: a shape whose weights to make")
    parser.add_argument("--only", help="numbers of settings, with commas between; held-out; or several: those on two cards")
    parser.add_argument("--cards", type=int, help="with several: on so many cards instead")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no setting after that")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.one:
        return train(json.loads(options.one), options.work, options.out)
    if options.make:
        return make_model(options.work / options.make, options.make, "cpu" if options.make == "tiny" else "cuda")
    chosen = [SELF_TEST] if options.self_test else SETTINGS
    if options.only == "held-out":
        chosen = HELD_OUT
    elif options.only == "several":
        chosen = [{**each, "cards": options.cards or each["cards"]} for each in SEVERAL]
    elif options.only:
        chosen = [SETTINGS[int(number)] for number in options.only.split(",")]
    options.work.mkdir(parents=True, exist_ok=True)
    if not (options.work / "rows").exists():
        make_rows(options.work / "rows")
    for shape in dict.fromkeys(each["shape"] for each in chosen):
        if not (options.work / shape).exists():
            begun = time.monotonic()
            # In a process of its own: its memory on the GPU has to be free again.
            words = [sys.executable, __file__, str(options.out), str(options.work), "--make", shape]
            subprocess.run(words, check=True)
            print(f"{shape}: weights made in {time.monotonic() - begun:.0f} s", flush=True)
    with open(options.out, "a", encoding="utf-8") as lines:
        lines.write(json.dumps({"versions": versions()}) + "\n")
    measure(options.out, options.work, chosen, options.seconds)


def versions():
    from importlib.metadata import PackageNotFoundError, version

    def of(name):
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    names = ["torch", "llamafactory", "transformers", "peft", "trl", "accelerate", "liger-kernel", "bitsandbytes", "deepspeed"]
    return {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), **{name: of(name) for name in names}}


if __name__ == "__main__":
    main()
