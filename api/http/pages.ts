/** The headers that name the next page of a list whose reply has no room for its cursor (RFC 8288). */
export function nextPage(
  path: string,
  query: object,
  parameter: string,
  cursor: string | undefined,
): Record<string, string> {
  if (cursor === undefined) return {}
  const given = Object.entries(query).map(([name, value]) => [name, String(value)] as [string, string])
  const parameters = new URLSearchParams([...given.filter(([name]) => name !== parameter), [parameter, cursor]])
  return { 'x-next-cursor': cursor, link: `</v1${path}?${parameters.toString()}>; rel="next"` }
}
