"""What common sense leaves out of an archive or a work tree, and how that is told.

Little of any archive: what systems and tools hide or leave behind. Of source code also what nobody
wrote by hand. A folder `vendor` of an archive that holds no code is just a folder.
"""

import re
from collections import Counter
from typing import Final

from shared.domain.names import hides

HIDDEN: Final = "hidden"
IGNORED: Final = "ignored by .gitignore"
LINKS: Final = "links"
SPECIAL: Final = "devices or pipes"
UNUSABLE: Final = "with names that can't be used"
VENDORED: Final = "in folders of other people's code"
LOCKS: Final = "lock files"
GENERATED: Final = "generated or minified"
BINARY: Final = "images, media or binaries"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LITTER: Final = _words("__macosx thumbs.db desktop.ini")

_PROJECT_FILES: Final = _words("""
    .gitignore package.json pyproject.toml setup.py setup.cfg requirements.txt pipfile cargo.toml
    go.mod pom.xml build.gradle build.gradle.kts settings.gradle makefile cmakelists.txt
    configure.ac meson.build gemfile composer.json mix.exs package.swift pubspec.yaml dockerfile
    build.sbt deno.json tsconfig.json stack.yaml rebar.config build.zig flake.nix project.clj
    deps.edn
""")
_PROJECT_ENDINGS: Final = (".csproj", ".sln", ".vcxproj", ".cabal", ".gemspec")

_FOLDERS: Final = {
    **dict.fromkeys(
        _words("""
            node_modules bower_components jspm_packages vendor vendored third_party third-party
            site-packages venv virtualenv pods carthage
        """),
        VENDORED,
    ),
    **dict.fromkeys(_words("__pycache__ dist deriveddata htmlcov coverage"), GENERATED),
}
_FOLDER_ENDINGS: Final = (".egg-info", ".dist-info")

_LOCKS: Final = _words("""
    package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb poetry.lock
    pipfile.lock uv.lock pdm.lock cargo.lock composer.lock gemfile.lock go.sum mix.lock flake.lock
    packages.lock.json gradle.lockfile pubspec.lock podfile.lock deno.lock package.resolved
""")
_GENERATED: Final = re.compile(
    r"\.min\.(?:js|css|mjs|html)$|\.bundle\.(?:js|css)$|\.map$|_pb2(?:_grpc)?\.pyi?$|\.pb\.go$"
    r"|\.g\.dart$|\.designer\.cs$|\.snap$"
)
_BINARY: Final = _words("""
    png jpg jpeg gif webp bmp ico icns tif tiff heic avif psd ai eps xcf sketch fig blend
    mp3 mp4 m4a wav ogg flac avi mov mkv webm wmv woff woff2 ttf otf eot
    exe dll so dylib a o obj lib pdb class jar war ear pyc pyo pyd wasm elc beam nupkg
    zip tar gz tgz bz2 xz zst 7z rar whl deb rpm dmg iso apk ipa img bin dat
    db sqlite sqlite3 mdb npy npz pkl pickle pt pth onnx safetensors h5 hdf5 tflite gguf
    parquet arrow feather keystore jks p12 pfx der
""")


def is_hidden(path: str) -> bool:
    """Whether a part of it is hidden, or left there by a system."""
    parts = path.rstrip("/").split("/")
    return any(hides(part) or part.casefold() in _LITTER for part in parts)


def marks_a_project(name: str) -> bool:
    """Whether a file of this name lies where source code does."""
    base = name.rsplit("/", 1)[-1].casefold()
    return base in _PROJECT_FILES or base.endswith(_PROJECT_ENDINGS)


def needless(path: str) -> str | None:
    """Why a file of source code, or a folder where `path` ends in `/`, is left out, or None."""
    *folders, name = path.casefold().rstrip("/").split("/")
    if path.endswith("/"):
        folders.append(name)
    for folder in folders:
        if folder in _FOLDERS:
            return _FOLDERS[folder]
        if folder.endswith(_FOLDER_ENDINGS):
            return GENERATED
    if path.endswith("/"):
        return None
    if name in _LOCKS:
        return LOCKS
    if _GENERATED.search(name):
        return GENERATED
    stem, dot, ending = name.rpartition(".")
    return BINARY if stem and dot and ending in _BINARY else None


class LeftOut:
    """Counts what was left out, by its kind."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    def add(self, kind: str) -> None:
        """One more of a kind."""
        self.kinds[kind] += 1

    def __str__(self) -> str:
        """Such as `12 hidden, 3 lock files`; empty where nothing was."""
        return ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.kinds.items()))
