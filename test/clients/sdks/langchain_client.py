"""Drives the API with langchain-openai."""

from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from told import BASE_URL, CHAT, EMBED, KEY, calls_weather, fake, person, tell


class Person(BaseModel):
    name: str
    age: int


def weather(city: str) -> str:
    """Tells the weather of a city."""
    return "rain"


def model(**options):
    return ChatOpenAI(model=CHAT, base_url=BASE_URL, api_key=KEY, max_retries=0, **options)


chat = model()
responses = model(use_responses_api=True)


def said(of):
    return of.invoke(fake(reply="hello")).text


def streamed(of):
    chunks = list(of.stream(fake(reply="one two three")))
    whole = sum(chunks[1:], chunks[0])
    return {"text": whole.text, "tokens": whole.usage_metadata["output_tokens"]}


def tools(of):
    from langchain_core.messages import HumanMessage, ToolMessage

    asked = [HumanMessage(calls_weather())]
    bound = of.bind_tools([weather])
    reply = bound.invoke(asked)
    results = [ToolMessage("rain", tool_call_id=call["id"]) for call in reply.tool_calls]
    after = bound.invoke([*asked, reply, *results])
    return {"calls": [[call["name"], call["args"]] for call in reply.tool_calls], "after": after.text}


def tools_streamed(of):
    chunks = list(of.bind_tools([weather]).stream(calls_weather()))
    return [[call["name"], call["args"]] for call in sum(chunks[1:], chunks[0]).tool_calls]


def structured(of):
    return of.with_structured_output(Person).invoke(person()).model_dump()


def chat_text():
    return said(chat)


def chat_stream():
    return streamed(model(stream_usage=True))


def chat_tools():
    return tools(chat)


def chat_tools_stream():
    return tools_streamed(chat)


def chat_structured():
    return structured(chat)


def responses_text():
    return said(responses)


def responses_stream():
    return streamed(responses)


def responses_tools():
    return tools(responses)


def responses_tools_stream():
    return tools_streamed(responses)


def responses_structured():
    return structured(responses)


def embeddings():
    # By default it sends token ids of OpenAI's tokenizer, which are another model's nonsense.
    client = OpenAIEmbeddings(model=EMBED, base_url=BASE_URL, api_key=KEY, check_embedding_ctx_length=False)
    vectors = client.embed_documents(["one", "two"])
    return {"count": len(vectors), "same": len(vectors[0]) == len(client.embed_query("one"))}


def completions():
    client = OpenAI(model=CHAT, base_url=BASE_URL, api_key=KEY, max_retries=0)
    prompt = fake(reply="one two")
    return {"text": client.invoke(prompt), "stream": "".join(client.stream(prompt))}


tell(
    chat_text,
    chat_stream,
    chat_tools,
    chat_tools_stream,
    chat_structured,
    responses_text,
    responses_stream,
    responses_tools,
    responses_tools_stream,
    responses_structured,
    embeddings,
    completions,
)
