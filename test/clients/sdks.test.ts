import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { openDatabase, type Database } from '../../infra/postgres/database.ts'
import { newTenant } from '../support/tenants.ts'
import { AGENTS, AI_SDK, installed, LANGCHAIN, LITELLM, PYDANTIC_AI, type Installed } from './install.ts'
import { runProgram } from './program.ts'
import { startScriptedStack, type SandboxStack } from './sandbox-stack.ts'

const SCRIPTS = fileURLToPath(new URL('sdks', import.meta.url))
const clients = {
  ai: await installed(AI_SDK),
  langchain: await installed(LANGCHAIN),
  agents: await installed(AGENTS),
  pydantic: await installed(PYDANTIC_AI),
  litellm: await installed(LITELLM),
}

let stack: SandboxStack
let db: Database
beforeAll(async () => {
  stack = await startScriptedStack()
  db = openDatabase({ url: stack.databaseUrl, poolSize: 2, applicationName: 'ipop-test' })
})
afterAll(async () => {
  await db.close()
  await stack.stop()
})

/** What each operation of the script gave, by its name. */
async function told(client: Installed, script: string): Promise<Record<string, unknown>> {
  if ('missing' in client) return {}
  const { secret } = await newTenant(db, { apiUrl: stack.apiUrl })
  // Imports are looked up from where a script lies.
  const isModule = script.endsWith('.mjs')
  const path = join(isModule ? client.folder : SCRIPTS, script)
  if (isModule) await copyFile(join(SCRIPTS, script), path)
  const { code, stdout, output } = await runProgram(client.program, [path], {
    cwd: client.folder,
    env: { ...process.env, ...QUIET, IPOP_API_KEY: secret, IPOP_BASE_URL: `${stack.apiUrl}/v1` },
  })
  if (isModule) await rm(path)
  if (code !== 0 || stdout.includes('{"error"')) process.stderr.write(`${script}: ${output}\n`)
  const lines = stdout.split('\n').filter(line => line.startsWith('{"operation"'))
  return Object.fromEntries(lines.map(line => JSON.parse(line)).map(({ operation, given }) => [operation, given]))
}

/** Nothing is written beside the scripts, and no price list is fetched. */
const QUIET = { PYTHONDONTWRITEBYTECODE: '1', LITELLM_LOCAL_MODEL_COST_MAP: 'True' }
const CITIES = ['Oslo', 'Rome']
const CALLS = CITIES.map(city => ['weather', { city }])
const ADA = { name: 'Ada', age: 36 }
const THREE = 'one two three'
const VECTORS = { count: 2, same: true }
const WHOLE = { text: 'one two', stream: 'one two' }

const SDKS: [string, Installed, string, Record<string, unknown>][] = [
  [
    'ai, @ai-sdk/openai and @ai-sdk/openai-compatible',
    clients.ai,
    'ai-sdk.mjs',
    {
      ...Object.fromEntries(
        ['chat', 'responses', 'compatible'].flatMap(way => [
          [`${way} text`, { text: 'hello', tokens: 1 }],
          [`${way} stream`, { text: THREE, tokens: 3, finish: 'stop' }],
          [`${way} tools`, { heard: CITIES, final: 'It rains.', steps: 2 }],
          [`${way} toolsStreamed`, { heard: CITIES, final: 'It rains.', steps: 2 }],
          [`${way} structured`, ADA],
        ]),
      ),
      'completion completion': { text: expect.stringMatching(/^echo: user:\nhello\s+assistant:/), isSame: true },
      'compatibleCompletion completion': {
        text: expect.stringMatching(/^echo: user:\nhello\s+assistant:/),
        isSame: true,
      },
      'embedding embeddings': VECTORS,
      'compatibleEmbedding embeddings': VECTORS,
    },
  ],
  [
    'langchain-openai',
    clients.langchain,
    'langchain_client.py',
    {
      ...inBoth(way => ({
        [`${way}_text`]: 'hello',
        [`${way}_stream`]: { text: THREE, tokens: 3 },
        [`${way}_tools`]: { calls: CALLS, after: 'It rains.' },
        [`${way}_tools_stream`]: CALLS,
        [`${way}_structured`]: ADA,
      })),
      embeddings: VECTORS,
      completions: WHOLE,
    },
  ],
  [
    'openai-agents',
    clients.agents,
    'agents_client.py',
    inBoth(way => ({
      [`${way}_text`]: { text: 'hello', tokens: 1 },
      [`${way}_stream`]: { text: THREE, final: THREE },
      [`${way}_tools`]: { heard: CITIES, final: 'It rains.' },
      [`${way}_tools_stream`]: { heard: CITIES, final: 'It rains.' },
      [`${way}_structured`]: ADA,
    })),
  ],
  [
    'pydantic-ai',
    clients.pydantic,
    'pydantic_client.py',
    {
      ...inBoth(way => ({
        [`${way}_text`]: { text: 'hello', tokens: 1 },
        [`${way}_stream`]: THREE,
        [`${way}_tools`]: { heard: CITIES, final: 'It rains.' },
        [`${way}_tools_stream`]: { heard: CITIES, final: 'It rains.' },
        [`${way}_structured`]: [ADA, ADA],
      })),
      embeddings: VECTORS,
    },
  ],
  [
    'litellm',
    clients.litellm,
    'litellm_client.py',
    {
      chat_text: { text: 'hello', tokens: 1 },
      chat_stream: { text: THREE, tokens: 3 },
      chat_tools: { calls: CALLS, after: 'It rains.' },
      chat_tools_stream: CALLS,
      chat_structured: ADA,
      responses_text: 'hello',
      responses_stream: { text: THREE, last: 'response.completed' },
      responses_tools: CALLS,
      responses_structured: ADA,
      embeddings: VECTORS,
      completions: WHOLE,
    },
  ],
]

function inBoth(wanted: (way: string) => Record<string, unknown>): Record<string, unknown> {
  return { ...wanted('chat'), ...wanted('responses') }
}

const describeWith = (client: Installed) => ('missing' in client ? describe.skip : describe)

for (const [name, client, script, wanted] of SDKS) {
  describeWith(client)(name, () => {
    test('does all that it is asked', async () => {
      expect(await told(client, script)).toEqual(wanted)
    })
  })
}
