"""Drives the API with OpenAI's own client for Python; what each operation gave is one line of JSON."""

import io
import json
import os
import sys
import time

import openai

client = openai.OpenAI(api_key=os.environ["IPOP_API_KEY"], base_url=os.environ["IPOP_BASE_URL"], max_retries=0)
CHAT = "test/plain"
PIXEL = "data:image/png;base64,iVBORw0KGgo="
WEATHER = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def script(**wishes):
    """A prompt that tells the upstream behind the API what to answer."""
    return json.dumps({"fake": wishes})


def user(text):
    return [{"role": "user", "content": text}]


def models():
    return {"first": client.models.list().data[0].object, "one": client.models.retrieve(CHAT).id}


def chat():
    reply = client.chat.completions.create(model=CHAT, messages=user(script(reply="hello")))
    return {"text": reply.choices[0].message.content, "tokens": reply.usage.completion_tokens}


def chat_stream():
    stream = client.chat.completions.create(
        model=CHAT,
        messages=user(script(reply="one two three")),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    return {"text": text, "tokens": chunks[-1].usage.completion_tokens}


def chat_tools():
    call = {"id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
    reply = client.chat.completions.create(
        model=CHAT,
        messages=user(script(toolCalls=[call])),
        tools=[{"type": "function", "function": WEATHER}],
    )
    choice = reply.choices[0]
    function = choice.message.tool_calls[0].function
    return {"reason": choice.finish_reason, "name": function.name, "arguments": json.loads(function.arguments)}


def embeddings():
    floats = client.embeddings.create(model="test/embed", input=["one", "two"], encoding_format="float")
    packed = client.embeddings.create(model="test/embed", input="one")
    same = [round(value, 5) for value in packed.data[0].embedding] == [
        round(value, 5) for value in floats.data[0].embedding
    ]
    return {"count": len(floats.data), "same": same}


def images():
    wishes = {"extraMessage": {"images": [{"image_url": {"url": PIXEL}}]}, "reply": ""}
    reply = client.images.generate(model="test/draw", prompt=script(**wishes), size="1024x1024")
    return {"url": reply.data[0].url == PIXEL}


def files_and_batches():
    row = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": CHAT, "messages": user(script(reply="from a batch"))},
    }
    given = client.files.create(file=io.BytesIO(json.dumps(row).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h")
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    output = json.loads(client.files.content(batch.output_file_id).text)
    listed = given.id in [one.id for one in client.files.list()]
    named = batch.id in [one.id for one in client.batches.list()]
    client.files.delete(given.id)
    return {
        "status": batch.status,
        "text": output["response"]["body"]["choices"][0]["message"]["content"],
        "listed": listed and named,
        "gone": status_of(lambda: client.files.retrieve(given.id)),
    }


def responses():
    first = client.responses.create(model=CHAT, input=script(reply="first"))
    second = client.responses.create(model=CHAT, input=script(reply="second"), previous_response_id=first.id)
    items = client.responses.input_items.list(second.id)
    again = client.responses.retrieve(second.id)
    client.responses.delete(second.id)
    return {
        "texts": [first.output_text, second.output_text, again.output_text],
        "items": len(items.data),
        "gone": status_of(lambda: client.responses.retrieve(second.id)),
    }


def responses_stream():
    with client.responses.stream(model=CHAT, input=script(reply="one two")) as stream:
        types = [event.type for event in stream]
        final = stream.get_final_response()
    return {"first": types[0], "last": types[-1], "text": final.output_text, "status": final.status}


def input_tokens():
    counted = client.responses.input_tokens.count(model=CHAT, input="hello")
    return {"positive": counted.input_tokens > 0}


def errors():
    stranger = client.with_options(api_key="ipop_" + "A" * 43)
    return {
        "key": status_of(stranger.files.list),
        "model": status_of(lambda: client.chat.completions.create(model="no/such", messages=user("x"))),
        "body": status_of(lambda: client.chat.completions.create(model=CHAT, messages=[])),
    }


def status_of(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code]
    return None


OPERATIONS = [
    models,
    chat,
    chat_stream,
    chat_tools,
    embeddings,
    images,
    files_and_batches,
    responses,
    responses_stream,
    input_tokens,
    errors,
]

for operation in OPERATIONS:
    try:
        given = operation()
    except Exception as error:  # Told to the test, which fails by it; the other operations are tried all the same.
        given = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps({"operation": operation.__name__, "given": given}))
    sys.stdout.flush()
