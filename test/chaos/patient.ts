import type { ApiClient } from '../support/client.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'

const RETRY_EVERY_MS = 200

/** A client as the SDKs are: what fails on the way is sent again. */
export function patient(api: ApiClient): ApiClient {
  const send: ApiClient['send'] = async (method, path, init) => {
    const giveUpAtMs = Date.now() + HANGS_AFTER_MS
    for (;;) {
      const reply = await api.send(method, path, init).catch(() => undefined)
      if (reply !== undefined && reply.status < 500) return reply
      if (Date.now() > giveUpAtMs) throw new Error(`no reply to ${method} ${path} in ${HANGS_AFTER_MS} ms`)
      await new Promise(resolve => setTimeout(resolve, RETRY_EVERY_MS))
    }
  }
  return {
    ...api,
    send,
    get: (path, headers = {}) => send('GET', path, { headers }),
    post: (path, body, headers = {}) =>
      send('POST', path, {
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body ?? {}),
      }),
  }
}
