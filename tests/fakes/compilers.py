"""The C client of the tensor socket, compiled as strictly as a compiler can."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "c" / "tensor_client.c"
COMPILER = shutil.which("gcc") or shutil.which("cc")


def compile_client(directory: Path) -> Path:
    """Return the client's program, made in a directory."""
    program = directory / "tensor_client"
    command = [COMPILER, "-Wall", "-Wextra", "-Werror", "-std=c11", "-O2", "-o", str(program), str(SOURCE)]
    subprocess.run(command, check=True, capture_output=True)
    return program
