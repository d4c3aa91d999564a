#!/usr/bin/env python3
"""Checks a demo's labels with a decoder that shares no code with the program.

    demo_labels.py SCANS.ndjson LABELS-DIR

Every tracking number must be in a barcode of as many pictures as scans said "printed" with it (a
REPRINT is one more), and one more at most: a label that was in doubt may have come out twice.
"""

import collections
import json
import pathlib
import sys

import zxingcpp
from PIL import Image


def main():
    scans, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    pictures = []
    for picture in sorted(folder.glob("*.png")):
        with Image.open(picture) as image:
            pictures.append({code.text for code in zxingcpp.read_barcodes(image.convert("L"))})
    told, orders, doubted = collections.Counter(), {}, set()
    with open(scans, encoding="utf-8") as lines:
        for line in lines:
            scan = json.loads(line)
            if scan["code"] == "printer-in-doubt":
                doubted.add(scan["order"])
            if scan["outcome"] != "printed":
                continue
            if not scan["tracking"]:
                print(f"{scan['order']}: printed without a tracking number")
                return 1
            for number in scan["tracking"]:
                told[number] += 1
                orders[number] = scan["order"]
    faults = [] if told else ["no scan was printed"]
    for number, times in told.items():
        seen = sum(any(number in text for text in codes) for codes in pictures)
        most = times + (orders[number] in doubted)
        if not times <= seen <= most:
            faults.append(f"{orders[number]}: {number} printed {times} times, on {seen} pictures")
    for fault in faults:
        print(fault)
    print(f"{sum(told.values())} labels told, {len(pictures)} pictures, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
