"""Check what is in the source distribution and in the wheel that lie in a folder."""

import sys
import tarfile
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
(sdist,) = folder.glob("fastdrop_kernels-*.tar.gz")
(wheel,) = folder.glob("fastdrop_kernels-*-cp311-abi3-*.whl")

with tarfile.open(sdist) as archive:
    in_sdist = {str(Path(*Path(m.name).parts[1:])) for m in archive.getmembers() if m.isfile()}
with zipfile.ZipFile(wheel) as archive:
    in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}

tops = {
    ".clang-format", "bench", "cmake", "csrc", "docs", "examples", "src", "tests", "tools",
    "CHANGELOG.md", "CMakeLists.txt", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md",
    "conftest.py", "pyproject.toml",
}  # fmt: skip
kinds = {"", ".c", ".h", ".def", ".cmake", ".py", ".pyi", ".pyx", ".pxd", ".pxi", ".typed"}
kinds |= {".json", ".md", ".png", ".rst", ".svg", ".toml", ".txt"}
junk = {n for n in in_sdist if Path(n).parts[0] not in tops or Path(n).suffix not in kinds}

sources = {str(p.relative_to("src")) for p in Path("src/fastdrop").rglob("*.p*") if p.is_file()}
sources = {n for n in sources if n.endswith((".py", ".pyi", ".pxd"))}
sources |= {"fastdrop/py.typed", "fastdrop/include/fastdrop.h"}
compiled = {n for n in in_wheel if n.startswith("fastdrop/_core.") and n.endswith((".so", ".pyd"))}

missing = {str(p) for p in Path("csrc").rglob("*.[ch]")} - in_sdist
missing |= sources - in_wheel
strangers = in_wheel - sources - compiled
if junk or missing or strangers or len(compiled) != 1:
    sys.exit(f"{junk=}\n{missing=}\n{strangers=}\n{compiled=}")
print(f"{sdist.name}: {len(in_sdist)} files; {wheel.name}: {len(in_wheel)} files")
