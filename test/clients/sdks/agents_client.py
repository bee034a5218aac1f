"""Drives the API with openai-agents, over chat and over Responses."""

import asyncio

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel
from told import BASE_URL, CHAT, KEY, calls_weather, fake, person, tell

set_tracing_disabled(True)
heard = []


class Person(BaseModel):
    name: str
    age: int


@function_tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    heard.append(city)
    return "rain"


def agent(kind, **options):
    client = AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
    return Agent(name="test", instructions="Be brief.", model=kind(CHAT, client), **options)


def said(kind):
    result = asyncio.run(Runner.run(agent(kind), fake(reply="hello")))
    return {"text": result.final_output, "tokens": result.context_wrapper.usage.output_tokens}


async def deltas(of, prompt):
    result = Runner.run_streamed(of, prompt)
    texts = []
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            texts.append(event.data.delta)
    return {"text": "".join(texts), "final": result.final_output}


def streamed(kind):
    return asyncio.run(deltas(agent(kind), fake(reply="one two three")))


def tools(kind):
    heard.clear()
    result = asyncio.run(Runner.run(agent(kind, tools=[weather]), calls_weather()))
    return {"heard": sorted(heard), "final": result.final_output}


def tools_streamed(kind):
    heard.clear()
    result = asyncio.run(deltas(agent(kind, tools=[weather]), calls_weather()))
    return {"heard": sorted(heard), "final": result["final"]}


def structured(kind):
    return asyncio.run(Runner.run(agent(kind, output_type=Person), person())).final_output.model_dump()


def chat_text():
    return said(OpenAIChatCompletionsModel)


def chat_stream():
    return streamed(OpenAIChatCompletionsModel)


def chat_tools():
    return tools(OpenAIChatCompletionsModel)


def chat_tools_stream():
    return tools_streamed(OpenAIChatCompletionsModel)


def chat_structured():
    return structured(OpenAIChatCompletionsModel)


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
)
