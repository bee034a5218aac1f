/** An error as OpenAI words it; thrown anywhere in the sandbox, answered by the server. */
export class OpenAiError extends Error {
  override name = 'OpenAiError'
  readonly status: number
  readonly param: string | null
  readonly code: string | null

  constructor(status: number, message: string, { param, code }: { param?: string; code?: string } = {}) {
    super(message)
    this.status = status
    this.param = param ?? null
    this.code = code ?? null
  }

  body(): object {
    const type = this.status >= 500 ? 'server_error' : 'invalid_request_error'
    return { error: { message: this.message, type, param: this.param, code: this.code } }
  }
}

export function invalidRequest(param: string, message: string): OpenAiError {
  return new OpenAiError(400, message, { param, code: 'invalid_value' })
}
