"""Converts a GGUF file to a safetensors folder with tokenizer and chat template: `convert_gguf.py FOLDER FILE OUT`.

Prints a JSON line {"stage": ..., "fraction": ...} as it goes. Shards are 150 MB at most, so that the peak of memory stays low.
"""

import json
import sys
from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast


def say(stage, fraction):
    print(json.dumps({"stage": stage, "fraction": fraction}), flush=True)


def smollm(read, vocabulary):
    """transformers reads this tokenizer as a Llama one: other word borders, `<s>` and `</s>` added, a wrong end token.

    What SmolLM2's own tokenizer.json says: digits one by one, then byte level; turns end with <|im_end|>.
    """
    described = json.loads(read.backend_tokenizer.to_str())
    described["added_tokens"] = [token for token in described["added_tokens"] if token["id"] < vocabulary]
    described["post_processor"] = described["normalizer"] = None
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    described["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, level]}
    described["decoder"] = level
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(described)),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = read.chat_template
    return tokenizer


def field(path, name):
    found = GGUFReader(path).fields.get(name)
    return None if found is None else found.contents()


def main(folder, file, out):
    say("reading the tokenizer", 0.1)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    say("reading the weights", 0.3)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.bfloat16)
    if field(Path(folder) / file, "tokenizer.ggml.pre") == "smollm":
        tokenizer = smollm(tokenizer, model.config.vocab_size)
    ends, pads, starts = tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id
    model.config.eos_token_id, model.config.pad_token_id, model.config.bos_token_id = ends, pads, starts
    model.generation_config = GenerationConfig(bos_token_id=starts, eos_token_id=ends, pad_token_id=pads)
    say("writing safetensors", 0.8)
    tokenizer.save_pretrained(out)
    model.save_pretrained(out, max_shard_size="150MB")
    del model
    say("loading what was written", 0.9)
    written = AutoModelForCausalLM.from_pretrained(out, dtype=torch.bfloat16)
    ids = AutoTokenizer.from_pretrained(out)("Hello", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = written(input_ids=ids).logits
    if not torch.isfinite(logits).all():
        raise SystemExit("error: the converted model computes values that are not finite")


main(*sys.argv[1:])
