"""Proves that the environment can train on the device named in argv[1] (cpu or cuda): imports all that LLaMA-Factory's trainer
imports and the modules named after it, and multiplies two matrices there. Prints one JSON object: versions, device, deviceName; or {"unusable": why, ...}."""

import importlib
import importlib.metadata
import json
import platform
import sys


def cpu_name():
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main(device, extras):
    import torch

    facts = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "transformers": importlib.metadata.version("transformers"),
        "llamafactory": importlib.metadata.version("llamafactory"),
        "device": device,
    }
    try:
        if device == "cuda" and not torch.cuda.is_available():
            torch.cuda.init()
            raise RuntimeError("torch.cuda.is_available() is false")
        ones = torch.ones(64, 64, device=device)
        total = float((ones @ ones).sum())
        if total != 64.0**3:
            raise RuntimeError(f"a product of two matrices was wrong: {total}")
    except Exception as error:
        print(json.dumps({**facts, "unusable": str(error).strip().splitlines()[0]}))
        return
    facts["deviceName"] = torch.cuda.get_device_name(0) if device == "cuda" else cpu_name()
    # The trainer's and the API's imports: a mismatch of torch and torchaudio shows here, and they are compiled to bytecode once.
    from llamafactory.train.tuner import run_exp  # noqa: F401
    from llamafactory.api.app import create_app  # noqa: F401

    for module in extras:
        importlib.import_module(module)
    if "vllm" in extras and device == "cuda":
        # Its kernels, which need the driver's library.
        importlib.import_module("vllm._C")

    print(json.dumps(facts))


main(sys.argv[1], sys.argv[2:])
