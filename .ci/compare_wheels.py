"""Check that the wheels in two folders are the same, byte for byte."""

import sys
import zipfile
from pathlib import Path


def members(wheel: Path) -> dict[str, tuple[object, ...]]:
    """What an installer may see of each member: its bytes, its time and its permissions."""
    with zipfile.ZipFile(wheel) as archive:
        infos = archive.infolist()
        return {i.filename: (archive.read(i), i.date_time, i.external_attr) for i in infos}


(one,), (other,) = (list(Path(folder).glob("*.whl")) for folder in sys.argv[1:])
if one.name != other.name:
    sys.exit(f"{one.name} is not {other.name}")
if one.read_bytes() != other.read_bytes():
    here, there = members(one), members(other)
    differ = [name for name in sorted({*here, *there}) if here.get(name) != there.get(name)]
    sys.exit(f"{one} and {other} differ in {differ or 'the archive alone'}")
print(f"{one.name}: {one.stat().st_size} bytes, the same in both")
