"""Drives the API with pydantic-ai, over chat and over Responses."""

import asyncio
import json

from pydantic import BaseModel
from pydantic_ai import Agent, Embedder, NativeOutput, ToolOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from told import BASE_URL, CHAT, EMBED, KEY, PERSON, calls_weather, fake, person, tell

heard = []


class Person(BaseModel):
    name: str
    age: int


def weather(city: str) -> str:
    """Tells the weather of a city."""
    heard.append(city)
    return "rain"


def provider():
    return OpenAIProvider(base_url=BASE_URL, api_key=KEY)


def agent(kind, **options):
    return Agent(kind(CHAT, provider=provider()), instructions="Be brief.", **options)


def said(kind):
    result = agent(kind).run_sync(fake(reply="hello"))
    return {"text": result.output, "tokens": result.usage.output_tokens}


async def deltas(of, prompt):
    async with of.run_stream(prompt) as result:
        return "".join([text async for text in result.stream_text(delta=True)])


def streamed(kind):
    return asyncio.run(deltas(agent(kind), fake(reply="one two three")))


def tools(kind):
    heard.clear()
    result = agent(kind, tools=[weather]).run_sync(calls_weather())
    return {"heard": sorted(heard), "final": result.output}


def tools_streamed(kind):
    heard.clear()
    final = asyncio.run(deltas(agent(kind, tools=[weather]), calls_weather()))
    return {"heard": sorted(heard), "final": final}


def structured(kind):
    native = agent(kind, output_type=NativeOutput(Person)).run_sync(person()).output
    calls = [{"name": "final_result", "arguments": json.dumps(PERSON)}]
    by_tool = agent(kind, output_type=ToolOutput(Person)).run_sync(fake(toolCalls=calls)).output
    return [native.model_dump(), by_tool.model_dump()]


def chat_text():
    return said(OpenAIChatModel)


def chat_stream():
    return streamed(OpenAIChatModel)


def chat_tools():
    return tools(OpenAIChatModel)


def chat_tools_stream():
    return tools_streamed(OpenAIChatModel)


def chat_structured():
    return structured(OpenAIChatModel)


def responses_text():
    return said(OpenAIResponsesModel)


def responses_stream():
    return streamed(OpenAIResponsesModel)


def responses_tools():
    return tools(OpenAIResponsesModel)


def responses_tools_stream():
    return tools_streamed(OpenAIResponsesModel)


def responses_structured():
    return structured(OpenAIResponsesModel)


def embeddings():
    embedder = Embedder(OpenAIEmbeddingModel(EMBED, provider=provider()))
    vectors = embedder.embed_documents_sync(["one", "two"]).embeddings
    return {"count": len(vectors), "same": len(vectors[0]) == len(embedder.embed_query_sync("one").embeddings[0])}


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
)
