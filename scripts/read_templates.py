"""Writes recipe/dataset-templates.json: the chat templates of LLaMA-Factory in the locked environment, as data.

`python scripts/read_templates.py > recipe/dataset-templates.json`. A slot is a text with {{content}}, or a map: {"special": "bos" or
"eos"} or {"token": name}. `tools` is the text about one tool, {{content}} in place of the tool's JSON where the format has it and
{{date}} in place of the day, which Llama 3's tools name.
"""

import json
import sys
from datetime import datetime
from unittest import mock

from llamafactory.data.template import TEMPLATES, Llama2Template, ReasoningTemplate

FORMATS = ["user", "assistant", "system", "function", "observation", "prefix"]
TOOL = {"name": "N", "description": "D", "parameters": {"type": "object", "properties": {}, "required": []}}


def slot_of(slot):
    if isinstance(slot, set):
        return {"special": "bos" if "bos_token" in slot else "eos"}
    return slot


class Today(datetime):
    """A day that stands for any."""

    def strftime(self, _):
        return "{{date}}"


def record_of(template):
    record = {name: [slot_of(slot) for slot in getattr(template, f"format_{name}").slots or []] for name in FORMATS}
    record["defaultSystem"] = template.default_system
    if template.efficient_eos:
        record["efficientEos"] = True
    if template.replace_eos:
        record["eos"] = template.stop_words[0]
    if isinstance(template, ReasoningTemplate):
        record["emptyThought"] = template.add_thought()
        record["thoughtWords"] = [word.strip() for word in template.thought_words]
    if isinstance(template, Llama2Template):
        record["systemInUser"] = True
    try:
        with mock.patch("llamafactory.data.tool_utils.datetime", Today):
            text = template.format_tools.apply(content=json.dumps([TOOL]))[0]
        record["tools"] = text.replace(json.dumps(TOOL), "{{content}}")
    except Exception:
        pass
    return record


def main():
    records = {name: record_of(template) for name, template in sorted(TEMPLATES.items())}
    lines = [f"  {json.dumps(name)}: {json.dumps(record, ensure_ascii=True)}" for name, record in records.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


main()
