"""A client of LiveKit: joins a room and stays until its input ends, which makes it say goodbye.

argv: address of the SFU, token. Prints a line for each change of its connection.
"""

import asyncio
import sys

from livekit import rtc


def tell(line):
    print(line, flush=True)


async def main(address, token):
    room = rtc.Room()
    for event in ("reconnecting", "reconnected", "disconnected"):
        room.on(event, lambda *_, event=event: tell(event))
    await room.connect(address, token)
    tell("connected")
    # In a thread of its own, for the connection needs this one.
    await asyncio.to_thread(sys.stdin.read)
    await room.disconnect()
    tell("left")


asyncio.run(main(*sys.argv[1:]))
