import { testStack } from './stack.ts'

export interface ApiReply<Body = any> {
  status: number
  headers: Headers
  body: Body
  text: string
}

export interface ApiClient {
  get<Body = any>(path: string, headers?: Record<string, string>): Promise<ApiReply<Body>>
  delete<Body = any>(path: string): Promise<ApiReply<Body>>
  post<Body = any>(path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiReply<Body>>
  /** Sends whatever is given, as it is. */
  send<Body = any>(method: string, path: string, init?: RequestInit): Promise<ApiReply<Body>>
  /** The open reply, for streams. */
  open(path: string, body: unknown, signal?: AbortSignal): Promise<Response>
  /** Uploads a batch's rows, or any text, raw; gives the file's id. */
  upload(content: string | object[], query?: string): Promise<string>
}

/** Speaks to the API as programs do: plain HTTP with a key. Paths are without the version. */
export function apiClient(secret: string | undefined, apiUrl = testStack().apiUrl): ApiClient {
  const auth: Record<string, string> = secret === undefined ? {} : { 'x-api-key': secret }
  const send = async (method: string, path: string, init: RequestInit = {}): Promise<ApiReply> => {
    const reply = await fetch(`${apiUrl}/v1${path}`, {
      method,
      ...init,
      headers: { ...auth, ...(init.headers as object) },
    })
    const text = await reply.text()
    const isJson = reply.headers.get('content-type')?.includes('json') === true
    return {
      status: reply.status,
      headers: reply.headers,
      text,
      body: isJson && text !== '' ? JSON.parse(text) : undefined,
    }
  }
  const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body ?? {}),
  })
  return {
    send,
    get: (path, headers = {}) => send('GET', path, { headers }),
    delete: path => send('DELETE', path),
    post: (path, body, headers) => send('POST', path, json(body, headers)),
    open: (path, body, signal) =>
      fetch(`${apiUrl}/v1${path}`, {
        method: 'POST',
        ...json(body, auth),
        ...(signal && { signal }),
      }),
    upload: async (content, query = 'purpose=batch') => {
      const text = typeof content === 'string' ? content : content.map(row => `${JSON.stringify(row)}\n`).join('')
      const reply = await send('POST', `/files?${query}`, {
        headers: { 'content-type': 'application/octet-stream' },
        body: text,
      })
      if (reply.status !== 200) throw new Error(`the upload was refused: ${reply.text}`)
      return (reply.body as { id: string }).id
    },
  }
}

/** The data of every event of an SSE reply, to its end. */
export async function eventsOf(reply: Response): Promise<string[]> {
  const text = await reply.text()
  return text.split('\n\n').flatMap(block => (block.startsWith('data: ') ? [block.slice('data: '.length)] : []))
}
