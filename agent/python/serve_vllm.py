"""`serve_vllm.py SETTINGS_JSON`: runs vLLM's OpenAI server in this process, so that neither it nor its children outlive the gateway.

`arguments` are vLLM's; what only the files of the run tell is added here. `output` is the run's folder; `adapter`, where there is one, its
name in the API. vLLM brings transformers 4, the training was done by 5: what that wrote is said in the older one's words.
"""

import ctypes
import json
import multiprocessing
import multiprocessing.util
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1

# The values that --max-lora-rank takes; its default of 16 refuses a larger adapter when it is loaded.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


def die_with(parent: int) -> None:
    """The kernel kills us when our parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have died before the kernel was told.
    if os.getppid() != parent:
        os._exit(1)


def words_of(settings: dict, folder: str) -> list:
    output, arguments = settings["output"], dict(settings["arguments"])
    adapter = settings.get("adapter")
    if adapter is not None:
        rank = json_of(f"{output}/adapter_config.json").get("r", 16)
        limit = next((most for most in RANKS if most >= rank), RANKS[-1])
        arguments |= {"enable-lora": True, "max-lora-rank": limit, "lora-modules": f"{adapter}={output}"}
    arguments["tokenizer"] = older_tokenizer(output, f"{folder}/tokenizer")
    config = older_config(json_of(f"{arguments['model']}/config.json"))
    if config:
        arguments["hf-overrides"] = json.dumps(config)
    words = []
    for name, value in arguments.items():
        if value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def older_config(config: dict) -> dict:
    """What transformers 5 says of RoPE. 4 does not read it, takes its default instead, and the model answers nonsense."""
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope or "rope_theta" in config:
        return {}
    scaling = {name: value for name, value in rope.items() if name != "rope_theta"}
    scaled = scaling.get("rope_type", "default") != "default"
    return {"rope_theta": rope["rope_theta"], **({"rope_scaling": scaling} if scaled else {})}


def older_tokenizer(folder: str, mended: str) -> str:
    """Folder of the tokenizer as the training left it, or of one that 4 can read: its classes and extra tokens are named otherwise there."""
    config = json_of(f"{folder}/tokenizer_config.json")
    extra = config.get("extra_special_tokens")
    if config.get("tokenizer_class") != "TokenizersBackend" and not isinstance(extra, list):
        return folder
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(extra, list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    os.makedirs(mended, exist_ok=True)
    with open(f"{mended}/tokenizer_config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    link = f"{mended}/tokenizer.json"
    if os.path.lexists(link):
        os.remove(link)
    os.symlink(f"{folder}/tokenizer.json", link)
    return mended


def json_of(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main(path: str) -> None:
    die_with(int(os.environ["TUNEUP_PARENT_PID"]))
    multiprocessing.util.register_after_fork(main, lambda _: die_with(multiprocessing.parent_process().pid))
    sys.argv = ["vllm", *words_of(json_of(path), os.path.dirname(path))]
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")


# What computes is a child of vLLM's server, and nobody would end it after a SIGKILL of that: it would keep the GPU's memory.
# One that is spawned, not forked, reads this file before it does anything.
if __name__ == "__main__":
    main(sys.argv[1])
elif __name__ == "__mp_main__":
    die_with(os.getppid())
