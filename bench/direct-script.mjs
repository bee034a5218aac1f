import { readFile, writeFile } from 'node:fs/promises'
import { Pool } from 'undici'

const CONCURRENCY = 64

/** What people write without a batch API: the rows of a file, so many at once, answers to another file. Gives seconds. */
export async function runDirectly(upstreamUrl, inputPath, outputPath) {
  const startedMs = performance.now()
  const { origin, pathname } = new URL(upstreamUrl)
  const pool = new Pool(origin, { connections: CONCURRENCY })
  const lines = (await readFile(inputPath, 'utf8')).split('\n')
  const answers = []
  let next = 0
  const worker = async () => {
    while (next < lines.length) {
      const row = JSON.parse(lines[next++])
      const body = await ask(pool, `${pathname}/chat/completions`, row.body)
      answers.push(JSON.stringify({ custom_id: row.custom_id, response: { status_code: 200, body } }))
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  await writeFile(outputPath, answers.join('\n'))
  await pool.close()
  return (performance.now() - startedMs) / 1000
}

async function ask(pool, path, body) {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer none' }
  const reply = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) })
  const answer = await reply.body.json()
  if (answer.usage?.completion_tokens === undefined) throw new Error(`${reply.statusCode} ${JSON.stringify(answer)}`)
  return answer
}
