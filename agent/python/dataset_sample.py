"""Renders one row of a dataset as LLaMA-Factory trains on it: its converter, its template, its masking.

One JSON object on stdin: {"weights": folder, "info": dataset_info.json entry, "row": the row, "train": LLaMA-Factory's arguments}.
One on stdout: {"tokens": number, "segments": [{"text", "trained"}]}; `trained` is false where the loss is masked.
"""

import json
import sys

stdout, sys.stdout = sys.stdout, sys.stderr

from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.parser import DatasetAttr
from llamafactory.data.processor import PretrainDatasetProcessor, SupervisedDatasetProcessor
from llamafactory.data.template import get_template_and_fix_tokenizer
from llamafactory.extras.constants import IGNORE_INDEX
from llamafactory.hparams import DataArguments
from transformers import AutoTokenizer

KEYS = ["template", "cutoff_len", "train_on_prompt", "mask_history", "default_system", "tool_format", "enable_thinking"]


def encode(asked):
    train = asked["train"]
    data_args = DataArguments(**{key: train[key] for key in KEYS if train.get(key) is not None})
    tokenizer = AutoTokenizer.from_pretrained(asked["weights"])
    attribute = DatasetAttr("file", dataset_name="sample")
    attribute.join(asked["info"])
    example = get_dataset_converter(attribute.formatting, attribute, data_args)(asked["row"])
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    batch = {key: [value] for key, value in example.items()}
    if train.get("stage") == "pt":
        processor = PretrainDatasetProcessor(template=template, tokenizer=tokenizer, processor=None, data_args=data_args)
        ids = processor.preprocess_dataset(batch)["input_ids"][0]
        return tokenizer, ids, ids
    # Of two answers that are compared, the first is shown: the one to learn.
    batch["_response"] = [example["_response"][:1]]
    processor = SupervisedDatasetProcessor(template=template, tokenizer=tokenizer, processor=None, data_args=data_args)
    encoded = processor.preprocess_dataset(batch)
    return tokenizer, encoded["input_ids"][0], encoded["labels"][0]


def segments_of(tokenizer, ids, labels):
    segments, start = [], 0
    for end in range(1, len(ids) + 1):
        masked = labels[start] == IGNORE_INDEX
        if end < len(ids) and (labels[end] == IGNORE_INDEX) == masked:
            continue
        text = tokenizer.decode(ids[start:end], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        segments.append({"text": text, "trained": not masked})
        start = end
    return segments


def main():
    tokenizer, ids, labels = encode(json.load(sys.stdin))
    json.dump({"tokens": len(ids), "segments": segments_of(tokenizer, ids, labels)}, stdout)


main()
