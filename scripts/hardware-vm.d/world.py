"""What the station told: world.py EVENTS COMMAND...

count TEXT          answers to exactly this scan
distinct PATTERN    different scans that fit the pattern
other PATTERN       answers to scans that fit no such pattern
others PATTERN      the scans themselves
outcome TEXT        the last outcome and code of that scan
"""
import json
import re
import sys


def answers(path):
    for line in open(path, errors="replace"):
        if line.startswith("data:"):
            try:
                event = json.loads(line[5:])
            except ValueError:
                continue
            if "scanned" in event and event.get("last"):
                yield event


events, what, arg = sys.argv[1], sys.argv[2], sys.argv[3]
said = list(answers(events))
if what == "count":
    print(sum(e["scanned"] == arg for e in said))
elif what == "distinct":
    print(len({e["scanned"] for e in said if re.fullmatch(arg, e["scanned"])}))
elif what == "other":
    print(len([e for e in said if not re.fullmatch(arg, e["scanned"])]))
elif what == "others":
    print(*[repr(e["scanned"]) for e in said if not re.fullmatch(arg, e["scanned"])])
elif what == "outcome":
    last = [e for e in said if e["scanned"] == arg][-1:]
    print(*[f"{e['outcome']}/{e['code']}" for e in last])
