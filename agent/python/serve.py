"""Runs one engine of an endpoint, so that it never outlives its gateway.

`serve.py api INFER_YAML` runs LLaMA-Factory's API (the Hugging Face engine) with what it lacks behind an OpenAI
endpoint: token counts, seed and a true finish_reason in streams, and a generation that ends when nobody listens any
more. `serve.py exec PROGRAM...` becomes another engine's program.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """The kernel kills us when our parent dies (Linux, kept over exec); elsewhere a thread watches for it."""
    parent = int(os.environ["TUNEUP_PARENT_PID"])
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
    # It may have died before the kernel was told.
    if os.getppid() != parent:
        os._exit(1)


def watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def serve_api(config: str) -> None:
    # As in train.py: what is imported stays.
    gc.disable()
    import uvicorn
    import yaml
    from llamafactory.api import app
    from llamafactory.chat import ChatModel

    gc.freeze()
    gc.enable()
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        compute_in_float32()
    with open(config, encoding="utf-8") as file:
        chat_model = ChatModel(yaml.safe_load(file))
    return_freed_memory()
    app.ChatCompletionRequest = request_class()
    app.create_stream_chat_completion_response = stream_completion
    uvicorn.run(
        app.create_app(chat_model),
        host=os.environ["API_HOST"],
        port=int(os.environ["API_PORT"]),
        access_log=False,
        log_level="warning",
    )


def return_freed_memory() -> None:
    """glibc keeps what importing and loading have freed; another engine may load next."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)


def compute_in_float32() -> None:
    """As in train.py: without oneDNN's bf16 for this CPU, weights stored as bf16 would answer 30 times slower."""
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


def request_class() -> type:
    from llamafactory.api.protocol import ChatCompletionRequest

    class Request(ChatCompletionRequest):
        seed: int | None = None

    return Request


def stream_completion(request, chat_model):
    """Stands in for LLaMA-Factory's function of this purpose. Not a generator itself: what is wrong with a request is
    raised here, while the status can still say so."""
    from fastapi import HTTPException
    from llamafactory.api.chat import _process_request

    messages, system, tools, *_ = _process_request(request)
    engine = chat_model.engine
    sampling = {
        "do_sample": request.do_sample,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_new_tokens": request.max_tokens,
    }
    arguments, prompt_length = engine._process_args(
        engine.model,
        engine.tokenizer,
        engine.processor,
        engine.template,
        engine.generating_args,
        messages,
        system,
        tools,
        input_kwargs=sampling,
    )
    window = getattr(engine.model.config, "max_position_embeddings", None)
    if window is not None:
        if prompt_length >= window:
            detail = f"The messages have {prompt_length} tokens, and the model's context has {window}."
            raise HTTPException(status_code=400, detail=detail)
        settings = arguments["generation_config"]
        settings.max_new_tokens = min(settings.max_new_tokens, window - prompt_length)
    return Completion(request, engine, arguments, prompt_length, bool(tools)).chunks()


class Completion:
    """One answer, generated in a thread, read as chunks of OpenAI's stream, each with the usage so far."""

    def __init__(self, request, engine, arguments, prompt_length, with_tools) -> None:
        import asyncio
        import uuid

        self.request = request
        self.engine = engine
        self.arguments = arguments
        self.prompt_length = prompt_length
        self.with_tools = with_tools
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.tokens = 0
        self.abandoned = threading.Event()
        self.pieces = asyncio.Queue()
        self.loop = asyncio.get_running_loop()

    async def chunks(self):
        # The thread gives the engine back, not we: after a disconnect it still computes its last token.
        await self.engine.semaphore.acquire()
        threading.Thread(target=self.generate, daemon=True).start()
        whole = ""
        try:
            yield self.chunk({"role": "assistant", "content": ""})
            while True:
                text, tokens, finish, fault = await self.pieces.get()
                self.tokens = tokens
                if fault is not None:
                    yield self.fault(fault)
                    return
                if self.with_tools:
                    whole += text
                elif text:
                    yield self.chunk({"content": text})
                if finish is not None:
                    break
            if self.with_tools:
                delta, finish = self.tool_delta(whole, finish)
                yield self.chunk(delta)
            yield self.chunk({}, finish)
            yield "[DONE]"
        finally:
            self.abandoned.set()

    def chunk(self, delta, finish=None) -> str:
        import json

        usage = {
            "prompt_tokens": self.prompt_length,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_length + self.tokens,
        }
        return json.dumps(
            {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": self.created,
                "model": self.request.model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
                "usage": usage,
            },
            ensure_ascii=False,
        )

    def fault(self, kind: str) -> str:
        import json

        return json.dumps({"error": {"message": f"The engine failed: {kind}.", "type": "server_error"}})

    def tool_delta(self, text: str, finish: str):
        import uuid

        result = self.engine.template.extract_tool(text)
        if not isinstance(result, list):
            return {"content": result}, finish
        calls = [
            {
                "index": index,
                "id": f"call_{uuid.uuid4().hex}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(result)
        ]
        return {"tool_calls": calls}, "tool_calls"

    def send(self, text: str, tokens: int, finish=None, fault=None) -> None:
        self.loop.call_soon_threadsafe(self.pieces.put_nowait, (text, tokens, finish, fault))

    def generate(self) -> None:
        import torch
        from transformers import StoppingCriteriaList

        try:
            if self.abandoned.is_set():
                return
            # Without a seed of its own a request must not follow from the one before.
            torch.manual_seed(self.request.seed % 2**63) if self.request.seed is not None else torch.seed()
            streamer = counting_streamer(self)
            with torch.inference_mode():
                self.engine.model.generate(
                    **self.arguments,
                    streamer=streamer,
                    stopping_criteria=StoppingCriteriaList([lambda ids, scores, **_: self.stop_mask(ids)]),
                )
            ends = self.arguments["generation_config"].eos_token_id
            ends = ends if isinstance(ends, list) else [ends]
            self.send("", streamer.tokens, "stop" if streamer.last in ends else "length")
        except Exception as error:
            # Its text may quote the request; where it happened does not.
            report(error)
            self.send("", self.tokens, None, type(error).__name__)
        finally:
            self.loop.call_soon_threadsafe(self.engine.semaphore.release)

    def stop_mask(self, ids):
        import torch

        return torch.full((ids.shape[0],), self.abandoned.is_set(), dtype=torch.bool, device=ids.device)


def counting_streamer(completion: Completion):
    from transformers import TextStreamer

    class CountingStreamer(TextStreamer):
        tokens = 0
        last = None

        def put(self, value):
            if not self.next_tokens_are_prompt:
                self.tokens += 1
                self.last = int(value.reshape(-1)[-1])
            super().put(value)

        def on_finalized_text(self, text, stream_end=False):
            completion.send(text, self.tokens)

    settings = completion.arguments["generation_config"]
    return CountingStreamer(
        completion.engine.tokenizer,
        skip_prompt=True,
        skip_special_tokens=getattr(settings, "skip_special_tokens", True),
    )


def report(error: Exception) -> None:
    import traceback

    for frame in traceback.extract_tb(error.__traceback__):
        print(f"{frame.filename}:{frame.lineno} in {frame.name}", file=sys.stderr)
    print(type(error).__name__, file=sys.stderr, flush=True)


def main() -> None:
    die_with_parent()
    mode, *words = sys.argv[1:]
    if mode == "exec":
        os.execvp(words[0], words)
    serve_api(words[0])


if __name__ == "__main__":
    main()
