"""Live calls for schemathesis: most requests about a call are about one that goes on.

A request's made-up id is replaced as it is sent by that of a call that goes on, or of one that is over where an
operation is for those. Which operations were carried out is noted; run as a program, this file says whether all
of them were.
"""

import json
import os
import random
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request

API, TOKEN, SEEN = (os.environ[name] for name in ("SIDETONE_API", "SIDETONE_TOKEN", "SIDETONE_SEEN"))

# These must have been carried out in a call.
ACTING = {
    "pauseAgent", "resumeAgent", "say", "whisper", "sendDigits", "takeOver", "handBack", "transferCall",
    "removePerson", "hangUp",
}
READING = {"getCall", "readTranscript", "readEvents", "readRecording"}
# These are for calls that are over.
AFTERWARDS = {"deleteCall"}
# These end a call, or make it another.
ENDING = {"hangUp", "deleteCall"}

lock = threading.Lock()
seen = {}
known = {}
# The leg of who came on a call last: they are on it as long as their socket is open.
listening = threading.local()
# Of its own: Hypothesis wants the one that all share for itself.
chance = random.Random()


def calls(state):
    request = urllib.request.Request(
        f"{API}/api/calls?state={state}&limit=20", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [call["id"] for call in json.load(answer)["calls"]]


def listen_in(call):
    """Somebody comes on a call: their leg's number, or none if they may not."""
    address = urllib.parse.urlsplit(API)
    leg = socket.create_connection((address.hostname, address.port), timeout=10)
    upgrade = [
        f"GET /api/calls/{call}/leg HTTP/1.1", f"Host: {address.netloc}", f"Authorization: Bearer {TOKEN}",
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    leg.sendall("\r\n".join([*upgrade, "", ""]).encode())
    answer = leg.makefile("rb")
    if b" 101 " not in answer.readline():
        return None
    while answer.readline().strip():
        pass
    join = json.dumps({"type": "join", "mode": "monitor", "audio": "pcm", "rate": 8000}).encode()
    # A text frame, masked with nothing.
    leg.sendall(bytes([0x81, 0x80 | len(join), 0, 0, 0, 0]) + join)
    while frame := answer.read(2):
        length = frame[1] if frame[1] < 126 else int.from_bytes(answer.read(2), "big")
        payload = answer.read(length)
        if frame[0] == 0x81:
            listening.leg = leg
            return json.loads(payload).get("person")
    return None


def name(case):
    return case.operation.definition.raw.get("operationId")


def call_for(operation):
    """A call that the operation can be carried out in; one comes before long."""
    state = "ended" if operation in AFTERWARDS else "live"
    with lock:
        for _ in range(50):
            if known.get(state):
                return chance.choice(known[state])
            known[state] = calls(state)
            if not known[state]:
                time.sleep(0.1)
    return None


def filter_case(context, case):
    """A header that nobody knows is passed over, as HTTP has it, and schemathesis takes that for a mistake."""
    return not any("unknown-property" in header.lower() for header in case.headers or {})


def is_for_a_call(case):
    """Whether the request makes sense but for its id, or no sense by its body alone: where anything else is wrong
    with it, an id that is good may make it good."""
    if "id" not in (case.path_parameters or {}):
        return False
    if case.meta is None or case.meta.generation.mode.is_positive:
        return True
    wrong = {place.name for place, part in case.meta.components.items() if part.mode.is_negative}
    return wrong == {"BODY"}


def before_call(context, case, kwargs):
    """Two of three requests about a call are about one that is there."""
    if is_for_a_call(case) and chance.random() < 0.67:
        call = call_for(name(case))
        if call:
            case.path_parameters["id"] = call
        # With another method they would stay on the call, and what makes no sense elsewhere could.
        if call and name(case) == "removePerson" and case.method == "DELETE":
            case.path_parameters["person"] = listen_in(call) or case.path_parameters["person"]


def after_call(context, case, response):
    with lock:
        if response.status_code == 409 or name(case) in ENDING:
            # Perhaps because it is over.
            known.clear()
        seen.setdefault(name(case), {}).setdefault(str(response.status_code), 0)
        seen[name(case)][str(response.status_code)] += 1
        with open(SEEN, "w", encoding="utf-8") as file:
            json.dump(seen, file)


def main():
    with open(SEEN, encoding="utf-8") as file:
        statuses = json.load(file)
    for operation in sorted(statuses):
        print(f"{operation}: " + ", ".join(f"{n} times {s}" for s, n in sorted(statuses[operation].items())))
    missing = sorted(
        operation
        for operation in ACTING | READING | AFTERWARDS
        if not any(status.startswith("2") for status in statuses.get(operation, {}))
    )
    if not statuses.get("openLeg", {}).keys() & {"101", "426"}:
        missing.append("openLeg")
    if missing:
        sys.exit("never carried out: " + ", ".join(missing))
    print("every operation on a call was carried out in one")


if __name__ == "__main__":
    main()
else:
    import schemathesis

    schemathesis.hook(filter_case)
    schemathesis.hook(before_call)
    schemathesis.hook(after_call)
