"""Drives the API with litellm as a client."""

import json

import litellm
from pydantic import BaseModel
from told import BASE_URL, CHAT, EMBED, KEY, calls_weather, fake, person, tell

litellm.telemetry = False
SERVER = {"api_base": BASE_URL, "api_key": KEY, "num_retries": 0}
CHAT_MODEL = f"openai/{CHAT}"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "weather", "description": "Tells the weather of a city.", "parameters": PARAMETERS}
CHAT_TOOL = {"type": "function", "function": TOOL}


class Person(BaseModel):
    name: str
    age: int


def ask(prompt, **options):
    messages = options.pop("messages", [{"role": "user", "content": prompt}])
    return litellm.completion(model=CHAT_MODEL, messages=messages, **SERVER, **options)


def respond(prompt, **options):
    return litellm.responses(model=CHAT_MODEL, input=prompt, **SERVER, **options)


def calls_of(message):
    return [[call.function.name, json.loads(call.function.arguments)] for call in message.tool_calls]


def chat_text():
    reply = ask(fake(reply="hello"))
    return {"text": reply.choices[0].message.content, "tokens": reply.usage.completion_tokens}


def chat_stream():
    chunks = list(ask(fake(reply="one two three"), stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks)
    return {"text": whole.choices[0].message.content, "tokens": whole.usage.completion_tokens}


def chat_tools():
    asked = [{"role": "user", "content": calls_weather()}]
    message = ask(None, messages=asked, tools=[CHAT_TOOL]).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls]
    after = ask(None, messages=[*asked, message.model_dump(), *results], tools=[CHAT_TOOL])
    return {"calls": calls_of(message), "after": after.choices[0].message.content}


def chat_tools_stream():
    chunks = list(ask(calls_weather(), tools=[CHAT_TOOL], stream=True))
    return calls_of(litellm.stream_chunk_builder(chunks).choices[0].message)


def chat_structured():
    return Person.model_validate_json(ask(person(), response_format=Person).choices[0].message.content).model_dump()


def output_of(reply):
    return [item if isinstance(item, dict) else item.model_dump() for item in reply.output]


def text_in(output):
    return "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"])


def responses_text():
    return text_in(output_of(respond(fake(reply="hello"))))


def responses_stream():
    events = list(respond(fake(reply="one two three"), stream=True))
    return {
        "text": "".join(event.delta for event in events if event.type == "response.output_text.delta"),
        "last": str(getattr(events[-1].type, "value", events[-1].type)),
    }


def responses_tools():
    output = output_of(respond(calls_weather(), tools=[{"type": "function", **TOOL}]))
    return [[item["name"], json.loads(item["arguments"])] for item in output if item["type"] == "function_call"]


def responses_structured():
    return Person.model_validate_json(text_in(output_of(respond(person(), text_format=Person)))).model_dump()


def embeddings():
    reply = litellm.embedding(model=f"openai/{EMBED}", input=["one", "two"], **SERVER)
    vectors = [item["embedding"] for item in reply.data]
    return {"count": len(vectors), "same": len(vectors[0]) == len(vectors[1])}


def completions():
    model = f"text-completion-openai/{CHAT}"
    prompt = fake(reply="one two")
    whole = litellm.text_completion(model=model, prompt=prompt, **SERVER)
    chunks = litellm.text_completion(model=model, prompt=prompt, stream=True, **SERVER)
    return {"text": whole.choices[0].text, "stream": "".join(chunk.choices[0].text or "" for chunk in chunks)}


tell(
    chat_text,
    chat_stream,
    chat_tools,
    chat_tools_stream,
    chat_structured,
    responses_text,
    responses_stream,
    responses_tools,
    responses_structured,
    embeddings,
    completions,
)
