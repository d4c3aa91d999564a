#!/usr/bin/env python3
"""Checks a demo's labels with a decoder that shares no code with the program.

    demo_labels.py SCANS.ndjson LABELS-DIR

Every scan document that says "printed" must have a label picture whose file name carries its order
and whose barcodes carry one of its tracking numbers; every tracking number must be on a picture.
"""

import json
import pathlib
import sys

import zxingcpp
from PIL import Image


def main():
    scans, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    read = {}
    for picture in sorted(folder.glob("*.png")):
        with Image.open(picture) as image:
            read[picture.name] = {code.text for code in zxingcpp.read_barcodes(image.convert("L"))}
    printed, faults = 0, []
    with open(scans, encoding="utf-8") as lines:
        for line in lines:
            scan = json.loads(line)
            if scan["outcome"] != "printed":
                continue
            printed += 1
            order, tracking = scan["order"], scan["tracking"]
            own = {name: codes for name, codes in read.items() if order and f"-{order}-" in name}
            if not own:
                faults.append(f"{order}: printed, but no picture is named after it")
            for number in tracking:
                if not any(number in text for codes in own.values() for text in codes):
                    faults.append(f"{order}: no barcode carries {number}; read: {own}")
            if not tracking:
                faults.append(f"{order}: printed without a tracking number")
    if not printed:
        faults.append("no scan was printed")
    for fault in faults:
        print(fault)
    print(f"{printed} printed scans, {len(read)} pictures, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
