import { createServer } from 'node:http'

/** Milliseconds of one clock for all processes of a machine, with fractions. */
export const nowMs = () => performance.timeOrigin + performance.now()

/**
 * An upstream whose deltas are the times at which they were sent, each in brackets: `[1795438167123.250]`. A request's
 * last message says how many and how far apart: `{"deltas":100,"everyMs":20}`.
 */
export async function startMockUpstream() {
  const server = createServer((request, response) => {
    const parts = []
    request.on('data', part => parts.push(part))
    request.on('end', () => void stream(JSON.parse(Buffer.concat(parts).toString()), response))
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}/v1`, close: () => server.close() }
}

async function stream(body, response) {
  const { deltas, everyMs } = JSON.parse(body.messages.at(-1).content)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const send = (delta, more = {}) =>
    response.write(
      `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 0, model: body.model, choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`,
    )
  let sent = 0
  const timer = setInterval(() => {
    if (response.destroyed) return clearInterval(timer)
    send({ content: `[${nowMs().toFixed(3)}]` })
    sent += 1
    if (sent < deltas) return
    clearInterval(timer)
    const usage = { prompt_tokens: 1, completion_tokens: deltas, total_tokens: deltas + 1 }
    send({}, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
    send({}, { choices: [], usage })
    response.end('data: [DONE]\n\n')
  }, everyMs)
}

/** How late each time stamp of a text is now, in ms. */
export function latenesses(text) {
  const now = nowMs()
  return [...text.matchAll(/\[(\d+\.\d+)\]/g)].map(([, stamp]) => now - Number(stamp))
}
