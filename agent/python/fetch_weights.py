"""Asks a hub for a model and downloads it. One JSON object on stdin: {"do": "resolve" | "download", "hub": "huggingface" |
"modelscope", "id", "revision" or null, "token" or null; for resolve also "pickle", for download "folder", "files"}. One JSON
object on stdout: {"revision", "at", "license" or null, "files": [{"path", "bytes", "sha256" or null, "git" or null}]},
{"done": true}, or {"fault": kind, "detail"}. `revision` says which bytes; `at` is what the hub calls it.

Only safetensors, JSON and tokenizer files of the top folder are taken: no code, and no pickle but the files that "pickle" names.
"""

import hashlib
import json
import logging
import os
import re
import sys

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
# One client reads the first of these variables alone, the other the rest.
BUNDLE = next(filter(None, map(os.environ.get, ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))), None)
if BUNDLE:
    for VARIABLE in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        os.environ[VARIABLE] = os.environ.get(VARIABLE) or BUNDLE
ANSWER = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # What the clients print goes to stderr: stdout carries the answer alone.

WANTED = re.compile(r"^[^/]+\.(safetensors|json|jinja|model|tiktoken)$|^(merges|vocab)\.txt$")
PICKLE = re.compile(r"^[^/]+\.(bin|pt|pth|ckpt)$")


class Unusable(Exception):
    """A fault that the caller tells in its own words."""

    def __init__(self, kind, detail=""):
        super().__init__(kind)
        self.kind, self.detail = kind, detail


def select(files, pickle):
    """The files to take of all that the hub lists; those named in `pickle` only where there are no safetensors."""
    if pickle and not any(re.match(r"^[^/]+\.safetensors$", file["path"]) for file in files):
        wanted = [file for file in files if WANTED.match(file["path"]) or file["path"] in pickle]
        if any(PICKLE.match(file["path"]) for file in wanted):
            return sorted(wanted, key=lambda file: file["path"])
    wanted = [file for file in files if WANTED.match(file["path"])]
    names = {file["path"] for file in wanted}
    if "model.safetensors.index.json" in names or "model.safetensors" in names:
        # Others (consolidated.safetensors) hold the same weights again in another form.
        keep = re.compile(r"^model(-\d+-of-\d+)?\.safetensors$")
        wanted = [f for f in wanted if not f["path"].endswith(".safetensors") or keep.match(f["path"])]
    if not any(file["path"].endswith(".safetensors") for file in wanted):
        raise Unusable("pickle-only" if any(PICKLE.match(f["path"]) for f in files) else "no-weights")
    return sorted(wanted, key=lambda file: file["path"])


def huggingface_resolve(asked):
    from huggingface_hub import HfApi

    api = HfApi()
    info = api.model_info(
        asked["id"], revision=asked["revision"], files_metadata=True, timeout=15, token=asked["token"]
    )
    if info.gated:
        # The list of files is public; whether we may have them is known only here.
        api.auth_check(asked["id"], token=asked["token"])
    files = [
        {
            "path": s.rfilename,
            "bytes": s.size or 0,
            "sha256": s.lfs.sha256 if s.lfs else None,
            "git": None if s.lfs else s.blob_id,
        }
        for s in info.siblings
    ]
    card = info.card_data
    license = card and (card.get("license_name") or card.get("license"))
    return {"revision": info.sha, "at": info.sha, "license": told(license), "files": select(files, asked["pickle"])}


def told(license):
    """The licence as one line of text: model cards say a name, a list, or nothing."""
    names = license if isinstance(license, list) else [license]
    return ", ".join(str(name) for name in names if name)[:100] or None


def huggingface_download(asked):
    from huggingface_hub import snapshot_download

    snapshot_download(
        asked["id"],
        revision=asked["revision"],
        local_dir=asked["folder"],
        allow_patterns=asked["files"],
        token=asked["token"],
        max_workers=4,
    )


def modelscope_api(asked):
    from modelscope_hub.api import HubApi

    return HubApi(token=asked["token"]) if asked["token"] else HubApi()


def modelscope_list(api, id, revision):
    """What the hub lists, and each file's last commit."""
    listed = api.legacy.list_repo_files(repo_id=id, repo_type="model", revision=revision, recursive=True)
    blobs = [file for file in listed if file.get("Type") != "tree"]
    files = [
        {"path": f["Path"], "bytes": int(f.get("Size") or 0), "sha256": f.get("Sha256") or None, "git": None}
        for f in blobs
    ]
    commits = [(f.get("CommittedDate") or 0, f.get("Revision") or "") for f in blobs]
    return sorted(files, key=lambda file: file["path"]), commits


def modelscope_commit(api, id, files, commits):
    """
    ModelScope names no commit of a branch, but each file's last one. The newest of them is the branch's if the hub lists the very same
    files there; None if it does not.
    """
    newest = max(commits, default=(0, ""))[1]
    if not re.fullmatch(r"[0-9a-f]{40}", newest):
        return None
    try:
        return newest if modelscope_list(api, id, newest)[0] == files else None
    except Exception:
        return None


def modelscope_license(api, id):
    try:
        info = api.legacy.get_repo_info(id, "model")
        return told(info.get("License") or info.get("license"))
    except Exception:
        return None  # Only told: the files themselves have been listed.


def modelscope_resolve(asked):
    api = modelscope_api(asked)
    at = asked["revision"] or "master"
    # A revision that we made ourselves: the hash of the files of a branch without a known commit.
    hashed = re.fullmatch(r"files-([0-9a-f]{40})(?:@(.+))?", at)
    if hashed:
        at = hashed[2] or "master"
    files, commits = modelscope_list(api, asked["id"], at)
    wanted = select(files, asked["pickle"])
    license = modelscope_license(api, asked["id"])
    commit = at if re.fullmatch(r"[0-9a-f]{40}", at) else modelscope_commit(api, asked["id"], files, commits)
    if commit and not hashed:
        return {"revision": commit, "at": commit, "license": license, "files": wanted}
    words = json.dumps([[f["path"], f["bytes"], f["sha256"]] for f in wanted])
    digest = hashlib.sha256(words.encode()).hexdigest()[:40]
    if hashed and hashed[1] != digest:
        raise Unusable("moved", at)
    suffix = "" if at == "master" else f"@{at}"
    return {"revision": f"files-{digest}{suffix}", "at": at, "license": license, "files": wanted}


def modelscope_download(asked):
    # What `modelscope.snapshot_download` calls, without the seconds that importing all of modelscope takes.
    modelscope_api(asked).download_repo(
        asked["id"],
        "model",
        revision=asked["at"],
        local_dir=asked["folder"],
        allow_patterns=asked["files"],
        max_workers=4,
    )


def causes(error):
    """The error and what it came from. ModelScope's client puts the errors of single files beside it."""
    while error is not None:
        yield error
        failed = getattr(error, "failed_files", None)
        error = error.__cause__ or error.__context__ or (next(iter(failed.values())) if failed else None)


def status_of(error):
    """HTTP status of the first error in the chain that has one."""
    for cause in causes(error):
        response = getattr(cause, "response", None)
        status = getattr(response, "status_code", None) or getattr(cause, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def detail_of(error):
    """The innermost cause: what wraps it repeats addresses and names of classes."""
    inner = list(causes(error))[-1]
    said = next(iter(str(inner).strip().splitlines()), "") or type(inner).__name__
    return re.sub(r"^\[Errno -?\d+\] ", "", said)[:200]


def kind_of(error):
    """The names of both clients' errors mean the same few things."""
    chain = list(causes(error))
    names = {name.__name__ for cause in chain for name in type(cause).__mro__}
    status = status_of(error)
    if "GatedRepoError" in names:
        return "gated"
    if "RevisionNotFoundError" in names:
        return "revision"
    if status == 429 or "RateLimitError" in names:
        return "rate-limited"
    if "RepositoryNotFoundError" in names:
        return "not-found"  # Hugging Face answers 401 for what is not there.
    if status in (401, 403) or names & {"AuthenticationError", "PermissionDeniedError"}:
        return "forbidden"
    if status == 404 and "RemoteEntryNotFoundError" in names:
        return "file-missing"
    if status == 404 or names & {"RepositoryNotFoundError", "EntryNotFoundError", "NotExistError"}:
        return "not-found"
    if names & {"HFValidationError", "InvalidParameter"}:
        return "bad-id"
    if any(isinstance(cause, OSError) and cause.errno in (28, 122) for cause in chain):
        return "disk-full"
    if "FileIntegrityError" in names:
        return "damaged"
    broken = {"_IncompleteBodyError", "RemoteProtocolError", "ProtocolError", "ReadError", "ReadTimeout", "IncompleteRead", "ChunkedEncodingError"}
    if names & broken or "Consistency check failed" in str(error):
        return "cut"
    return "unreachable"


def main():
    logging.disable(logging.WARNING)
    asked = json.load(sys.stdin)
    try:
        answer = globals()[f"{asked['hub']}_{asked['do']}"](asked) or {"done": True}
    except Unusable as error:
        answer = {"fault": error.kind, "detail": error.detail}
    except Exception as error:
        answer = {"fault": kind_of(error), "status": status_of(error), "detail": detail_of(error)}
    ANSWER.write(json.dumps(answer) + "\n")
    ANSWER.flush()
    # The clients' worker threads would be waited for.
    os._exit(0)


main()
