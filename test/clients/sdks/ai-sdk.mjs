// Drives the API with `ai`, `@ai-sdk/openai` and `@ai-sdk/openai-compatible`; what each operation gave is a line of JSON.
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from 'ai'
import { z } from 'zod'

const { IPOP_API_KEY: apiKey, IPOP_BASE_URL: baseURL } = process.env
const openai = createOpenAI({ apiKey, baseURL })
const compatible = createOpenAICompatible({
  name: 'ipop',
  apiKey,
  baseURL,
  includeUsage: true,
  supportsStructuredOutputs: true,
})
const CHAT = 'test/plain'
const EMBED = 'test/embed'
const maxRetries = 0

const fake = wishes => JSON.stringify({ fake: wishes })
const toolCalls = ['Oslo', 'Rome'].map(city => ({ name: 'weather', arguments: JSON.stringify({ city }) }))
const callsWeather = fake({ toolCalls, afterTools: 'It rains.' })
const person = { name: 'Ada', age: 36 }
const Person = z.object({ name: z.string(), age: z.number() })

async function text(model) {
  const { text: said, usage } = await generateText({ model, prompt: fake({ reply: 'hello' }), maxRetries })
  return { text: said, tokens: usage.outputTokens }
}

async function stream(model) {
  const result = streamText({ model, prompt: fake({ reply: 'one two three' }), maxRetries })
  let said = ''
  for await (const part of result.textStream) said += part
  return { text: said, tokens: (await result.usage).outputTokens, finish: await result.finishReason }
}

function weatherOf(heard) {
  return tool({
    description: 'Tells the weather of a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      heard.push(city)
      return 'rain'
    },
  })
}

async function tools(model) {
  const heard = []
  const options = { tools: { weather: weatherOf(heard) }, stopWhen: stepCountIs(3), maxRetries }
  const { text: final, steps } = await generateText({ model, prompt: callsWeather, ...options })
  return { heard: heard.toSorted((one, other) => one.localeCompare(other)), final, steps: steps.length }
}

async function toolsStreamed(model) {
  const heard = []
  const options = { tools: { weather: weatherOf(heard) }, stopWhen: stepCountIs(3), maxRetries }
  const result = streamText({ model, prompt: callsWeather, ...options })
  const final = await result.text
  return { heard: heard.toSorted((one, other) => one.localeCompare(other)), final, steps: (await result.steps).length }
}

async function structured(model) {
  const prompt = fake({ reply: JSON.stringify(person) })
  const { output } = await generateText({ model, prompt, output: Output.object({ schema: Person }), maxRetries })
  return output
}

/** The prompt of a completion is the whole conversation as a text, which the upstream says again. */
async function completion(model) {
  const prompt = 'hello'
  const { text: whole } = await generateText({ model, prompt, maxRetries })
  let streamed = ''
  for await (const part of streamText({ model, prompt, maxRetries }).textStream) streamed += part
  return { text: whole, isSame: streamed === whole }
}

async function embeddings(model) {
  const { embeddings: vectors } = await embedMany({ model, values: ['one', 'two'], maxRetries })
  return { count: vectors.length, same: vectors[0].length === vectors[1].length }
}

const ways = {
  chat: [openai.chat(CHAT), { text, stream, tools, toolsStreamed, structured }],
  responses: [openai.responses(CHAT), { text, stream, tools, toolsStreamed, structured }],
  completion: [openai.completion(CHAT), { completion }],
  embedding: [openai.embedding(EMBED), { embeddings }],
  compatible: [compatible.chatModel(CHAT), { text, stream, tools, toolsStreamed, structured }],
  compatibleCompletion: [compatible.completionModel(CHAT), { completion }],
  compatibleEmbedding: [compatible.textEmbeddingModel(EMBED), { embeddings }],
}

for (const [way, [model, operations]] of Object.entries(ways)) {
  for (const [name, operation] of Object.entries(operations)) {
    const given = await operation(model).catch(error => ({ error: String(error), cause: error?.responseBody }))
    process.stdout.write(`${JSON.stringify({ operation: `${way} ${name}`, given })}\n`)
  }
}
