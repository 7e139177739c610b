"""Which pictures are photographs: found without labels, and "there are none" where there are none.

The stage looks at each picture once through the built-in encoder (`curate.photos.look`), turns what it saw into the
evidence for a photograph (`curate.photos.head`), estimates the share of photographs in the folder before it decides
anything (`curate.photos.contamination`) and decides (`curate.photos.decision`).
"""

from __future__ import annotations

from curate.photos.settings import PhotoSettings
from curate.photos.stage import VERSION, run

__all__ = ["VERSION", "PhotoSettings", "run"]
