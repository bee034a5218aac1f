/** The key that a request carries, as it came: `x-api-key`, else the bearer token (RFC 6750 section 2.1). */
export function apiKeyOf(header: (name: string) => string | undefined): string | undefined {
  const own = header('x-api-key') ?? ''
  if (own !== '') return own
  const bearer = /^Bearer +(.+)$/i.exec(header('authorization') ?? '')
  return bearer?.[1]?.trim()
}
