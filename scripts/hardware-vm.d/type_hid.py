"""The device side of a keyboard-style scanner: types texts into /dev/hidgN, as boot reports.

type_hid.py [--pause SECONDS] DEVICE TEXT...    \\r and \\x1d in a text mean themselves
"""
import sys
import time

SHIFT, CTRL = 2, 1
PLAIN = {"-": 0x2D, "=": 0x2E, "[": 0x2F, "]": 0x30, "\\": 0x31, ";": 0x33, "'": 0x34, ",": 0x36,
         ".": 0x37, "/": 0x38, " ": 0x2C, "\t": 0x2B, "\r": 0x28, "0": 0x27}
SHIFTED = {"_": 0x2D, ":": 0x33, "?": 0x38, "!": 0x1E, "#": 0x20, "$": 0x21, "%": 0x22, "*": 0x25,
           "(": 0x26, ")": 0x27, "+": 0x2E}


def key(c):
    if "a" <= c <= "z":
        return 0, ord(c) - ord("a") + 4
    if "A" <= c <= "Z":
        return SHIFT, ord(c) - ord("A") + 4
    if "1" <= c <= "9":
        return 0, ord(c) - ord("1") + 0x1E
    if c == "\x1d":
        return CTRL, 0x30
    return (0, PLAIN[c]) if c in PLAIN else (SHIFT, SHIFTED[c])


arguments = sys.argv[1:]
pause = 0.0
if arguments[0] == "--pause":
    pause = float(arguments[1])
    arguments = arguments[2:]
with open(arguments[0], "wb", buffering=0) as device:
    for text in arguments[1:]:
        for c in text.replace("\\r", "\r").replace("\\x1d", "\x1d"):
            modifier, usage = key(c)
            device.write(bytes([modifier, 0, usage, 0, 0, 0, 0, 0]))
            device.write(bytes(8))
        time.sleep(pause)
