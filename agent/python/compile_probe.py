"""Compiles nothing but Python's headers, as Triton does for each kernel where it serves. Ends with 0, or with 1 and the reason on stdout."""

import shutil
import subprocess
import sys
import sysconfig
import tempfile

compiler = shutil.which("gcc") or shutil.which("clang")
if compiler is None:
    print("neither gcc nor clang is on PATH")
    sys.exit(1)
with tempfile.TemporaryDirectory() as folder:
    source = f"{folder}/probe.c"
    with open(source, "w") as file:
        file.write("#include <Python.h>\n")
    words = [compiler, source, "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", "-o", f"{folder}/probe.so"]
    result = subprocess.run(words, capture_output=True, text=True)
if result.returncode != 0:
    lines = [line for line in result.stderr.splitlines() if "error" in line]
    print(lines[0].strip() if lines else f"{compiler} ends with {result.returncode}")
    sys.exit(1)
