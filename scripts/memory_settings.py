"""The shapes and settings that scripts/measure_memory.py measures. Shapes are those of the published config.json."""

import json
from pathlib import Path


def shape(kind, hidden, intermediate, layers, heads, keys, vocabulary, tied=False, **more):
    return {
        "model_type": kind,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
        **more,
    }


# As in recipe/estimates/model-configs.json.
SHAPES = {
    "Qwen2.5-7B": shape("qwen2", 3584, 18944, 28, 28, 4, 152064),
    "Qwen2.5-3B": shape("qwen2", 2048, 11008, 36, 16, 2, 151936, True),
    "Qwen2.5-1.5B": shape("qwen2", 1536, 8960, 28, 12, 2, 151936, True),
    "Qwen2.5-0.5B": shape("qwen2", 896, 4864, 24, 14, 2, 151936, True),
    "Qwen3-4B": shape("qwen3", 2560, 9728, 36, 32, 8, 151936, True, head_dim=128),
    "Llama-3.1-8B": shape("llama", 4096, 14336, 32, 32, 8, 128256),
    "Llama-3.2-1B": shape("llama", 2048, 8192, 16, 32, 8, 128256, True, head_dim=64),
    "tiny": shape("qwen2", 64, 128, 2, 4, 2, 1024),
}


def setting(batch, cutoff, shape="Qwen2.5-7B", steps=4, rows="full", card=None, **arguments):
    """`card`: bytes that PyTorch may take, as on a smaller card."""
    chosen = {"shape": shape, "batch": batch, "cutoff": cutoff, "steps": steps, "rows": rows, "arguments": arguments}
    return chosen if card is None else {**chosen, "card": card}


OFF = {"disable_gradient_checkpointing": True}
LIGER = {"enable_liger_kernel": True}
# An H100 of 81559 MiB, less what the driver and the libraries hold.
H100 = 81559 * 2**20 - 804_061_184
# The formulas were fitted to these; the most telling first, a lease may end early.
FITTED = [
    setting(1, 1024),
    setting(8, 1024),
    setting(4, 1024, **OFF, **LIGER),
    setting(8, 1024, **OFF),
    setting(8, 1024, **OFF, **LIGER),
    setting(1, 1024, quantization_bit=4),
    setting(1, 1024, quantization_bit=8),
    setting(1, 1024, finetuning_type="freeze", freeze_trainable_layers=2),
    setting(1, 1024, finetuning_type="full", pure_bf16=True),
    setting(1, 1024, **OFF),
    setting(8, 1024, **LIGER),
    setting(1, 4096),
    setting(2, 2048),
    setting(1, 4096, **OFF, **LIGER),
    setting(4, 1024),
    setting(1, 1024, shape="Qwen2.5-1.5B", finetuning_type="full"),
    setting(8, 1024, quantization_bit=4, **LIGER),
    setting(2, 1024, use_dora=True, **OFF),
    setting(4, 2048, **LIGER),
    setting(4, 1024, quantization_bit=4, **OFF, **LIGER),
    setting(8, 1024, shape="Qwen2.5-0.5B"),
    setting(4, 1024, shape="Qwen2.5-1.5B", **OFF),
    setting(1, 1024, rows="mixed", steps=3, gradient_accumulation_steps=8),
    setting(8, 1024, rows="mixed", steps=6),
    setting(4, 1024, rows="mixed", steps=6, gradient_accumulation_steps=2, **OFF, **LIGER),
    setting(1, 1024, finetuning_type="full"),
    setting(1, 1024, finetuning_type="full", pure_bf16=True, optim="adafactor"),
    setting(2, 1024, lora_rank=64, **OFF),
    setting(2, 1024, quantization_bit=8, **OFF),
    setting(1, 2048),
    setting(1, 2048, **OFF),
    setting(4, 1024, shape="Qwen2.5-1.5B", finetuning_type="full", **LIGER),
]
# These were estimated before they were measured.
HELD_OUT = [
    setting(8, 1024, card=H100, **OFF),
    setting(8, 1024, card=H100, rows="mixed", **OFF),
    setting(8, 1024, card=H100, rows="mixed", **OFF, **LIGER),
    setting(4, 1024, shape="Qwen3-4B", **OFF),
    setting(4, 1024, shape="Qwen3-4B", **OFF, **LIGER),
    setting(2, 2048, shape="Qwen3-4B"),
    setting(2, 1024, shape="Llama-3.1-8B", **OFF),
    setting(4, 1024, shape="Llama-3.1-8B"),
    setting(2, 1024, shape="Llama-3.2-1B", finetuning_type="full", **OFF),
    setting(4, 1024, shape="Qwen2.5-3B", finetuning_type="full", pure_bf16=True, **OFF),
    setting(4, 1024, shape="Qwen2.5-3B", quantization_bit=4, **OFF),
    setting(4, 1024, shape="Qwen2.5-3B", finetuning_type="freeze", freeze_trainable_layers=8, **OFF),
    setting(1, 1024, shape="Qwen2.5-1.5B", finetuning_type="full", optim="adamw_8bit"),
    setting(4, 1024, lora_target="q_proj,v_proj", **OFF),
    setting(8, 1024, shape="Qwen2.5-0.5B", finetuning_type="full", **OFF),
    setting(4, 1024, shape="Qwen2.5-3B", rows="mixed", steps=6, **OFF, **LIGER),
    setting(4, 1024, shape="Qwen2.5-0.5B", rows="mixed", steps=6, **OFF, **LIGER),
    setting(1, 1024, shape="Qwen2.5-3B", quantization_bit=8),
]
SETTINGS = [*FITTED, *HELD_OUT]
EXAMPLES = Path(__file__).parent.parent / "test/fixtures/llamafactory-examples/deepspeed"


def zero(stage):
    """DeepSpeed's config of a ZeRO stage, as LLaMA-Factory has it."""
    return {"deepspeed": json.loads((EXAMPLES / f"ds_z{stage}_config.json").read_text(encoding="utf-8"))}


def together(batch, cutoff, cards=2, **more):
    """The same on several cards, which torchrun gives a process each."""
    return {**setting(batch, cutoff, **more), "cards": cards}


FULL = {"finetuning_type": "full"}
# Estimated before they were measured, on two cards.
SEVERAL = [
    together(1, 1024, shape="Qwen2.5-3B", **FULL, **zero(2)),
    together(1, 1024, **FULL, **zero(2)),
    together(1, 1024, **FULL, **zero(3)),
    together(4, 1024, shape="Qwen2.5-3B", **FULL, **zero(3)),
    together(1, 1024, shape="Qwen2.5-3B", **FULL),
    together(1, 1024, **zero(3)),
    together(1, 1024, shape="Qwen2.5-3B", **FULL, **zero(3)),
    together(1, 1024, **zero(2)),
    together(1, 1024),
    together(4, 1024, shape="Qwen2.5-3B", **FULL, **LIGER, **zero(2)),
]
SELF_TEST = setting(2, 256, shape="tiny")
