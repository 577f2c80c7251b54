"""What datasets of the user's own files share: where their `path` is looked for."""

from pathlib import Path

from . import Dataset


class OwnFiles(Dataset):
    """A dataset at `path`, which is looked for in the working directory and then under the data root."""

    path: str

    def where(self, root: Path) -> Path:
        here, there = Path(self.path).expanduser(), root / self.path
        return there if there.exists() and not here.exists() else here

    def not_there(self, root: Path) -> str:
        """Which places were looked at, each once."""
        places = dict.fromkeys(str(place.absolute()) for place in (self.where(root), root / self.path))
        return f"{self.path} is not there; looked for {' and '.join(places)}"
