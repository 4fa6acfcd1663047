"""`python -m export web BUNDLE --out SITE`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter, ProgressLine, shell_command


def add(commands: Any) -> None:
    command = commands.add_parser(
        "web",
        help="write a static page that runs a bundle in the browser, on a phone too",
        description="Writes a static web page that runs the bundle's default artifact in the "
        "browser, by onnxruntime-web's\nWebAssembly build: pictures and the camera, with the same "
        "preprocessing as on a device. It needs no server\ncode and no network after the first "
        "load, and sends nothing anywhere.",
        epilog="example:\n"
        "  python -m export web edge_m --out site\n"
        "  python -m http.server --directory site 8000    # then open http://localhost:8000",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "bundle",
        nargs="?",
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle shipped with tinysight (default: its default "
        "bundle)",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="SITE", help="folder to write the page into"
    )
    command.add_argument(
        "--onnxruntime-web",
        type=Path,
        metavar="PATH",
        help="npm package onnxruntime-web: its tarball, or its folder such as "
        "node_modules/onnxruntime-web (default: a pinned version, from the cache or downloaded "
        "once, 33 MB, from the npm registry that npm is set to)",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace an existing folder (default: refuse)"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from export.web.onnxruntime_web import read_package
    from export.web.site import write_site
    from tinysight.bundle import load_bundle

    bundle = load_bundle(args.bundle)
    counter = ProgressLine()
    runtime = read_package(args.onnxruntime_web, counter)
    counter.clear()
    site = write_site(bundle, runtime, args.out, overwrite=args.overwrite)
    serve = shell_command("python", "-m", "http.server", "--directory", args.out, 8000)
    print(
        f"Written to {args.out}/: {site.files} files, {site.bytes / 1e6:.1f} MB; a browser loads "
        f"{site.first_load_bytes / 1e6:.1f} MB, once.\n"
        f"{bundle.name}/{bundle.default} on onnxruntime-web {runtime.version}.\n"
        f"Next: {serve}, then http://localhost:8000"
    )
    return 0
