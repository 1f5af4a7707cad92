"""Who takes part in a simulated world, and the files that they start from.

All keys are of the public test mnemonic, funded on the embedded devnet; every process gets its own in a key file.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from l1.keys import Key, derive_dev_keys, save_dev_key

FUNDED = 40  # accounts of the devnet
MAKERS = 3
TAKERS = 5
ORACLES = 3
ROLES = {
    "deployer": 0,
    "sequencer": 1,
    "challenger-1": 2,
    "challenger-2": 3,
    "defender": 4,
    "teller": 5,
    **{f"oracle-{at}": 6 + at for at in range(ORACLES)},
    **{f"maker-{at}": 10 + at for at in range(MAKERS)},
    **{f"taker-{at}": 20 + at for at in range(TAKERS)},
    "liquidator-0": 28,
    "accomplice-0": 30,
    "accomplice-1": 31,
}
CHALLENGERS = ("challenger-1", "challenger-2")


@dataclass(frozen=True)
class Cast:
    """Keys by role, and where their files are."""

    keys: dict[str, Key]
    folder: Path

    def get_path(self, role: str) -> str:
        """Of the key file."""
        return str(self.folder / f"{role}.json")

    def get_paths(self, prefix: str) -> list[str]:
        """Of all roles that begin so, in order."""
        return [self.get_path(role) for role in self.keys if role.startswith(prefix)]

    def get_address(self, role: str) -> int:
        """On L1."""
        return int.from_bytes(self.keys[role].address, "big")

    def find_role(self, address: int) -> str:
        """A name for people; hex for strangers."""
        roles = {self.get_address(role): role for role in self.keys}
        return roles.get(address, f"0x{address:040x}")


def create_cast(folder: Path) -> Cast:
    """Fresh key files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    derived = derive_dev_keys(FUNDED)
    keys = {role: derived[place] for role, place in ROLES.items()}
    for role, key in keys.items():
        save_dev_key(folder / f"{role}.json", key)
    return Cast(keys, folder)
