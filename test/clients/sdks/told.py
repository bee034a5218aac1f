"""What the clients' scripts share: prompts that tell the upstream what to answer, and a line of JSON an operation."""

import json
import os
import traceback

KEY = os.environ["IPOP_API_KEY"]
BASE_URL = os.environ["IPOP_BASE_URL"]
CHAT = "test/plain"
EMBED = "test/embed"
CITIES = ["Oslo", "Rome"]
PERSON = {"name": "Ada", "age": 36}


def fake(**wishes):
    """A prompt that tells the upstream behind the API what to answer."""
    return json.dumps({"fake": wishes})


def calls_weather(name="weather"):
    """Calls a tool for two cities at once, then says what it has heard."""
    calls = [{"name": name, "arguments": json.dumps({"city": city})} for city in CITIES]
    return fake(toolCalls=calls, afterTools="It rains.")


def person():
    return fake(reply=json.dumps(PERSON))


def tell(*operations):
    for operation in operations:
        try:
            given = operation()
        except Exception as error:
            traceback.print_exc()
            given = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"operation": operation.__name__, "given": given}), flush=True)
