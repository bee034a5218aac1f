/** What a tool does to the workspace, as far as its name tells. */
export type ToolAccess = 'read' | 'write' | 'unknown'

/** Verbs that begin (or are) the name of a tool, in snake_case, kebab-case or camelCase. */
const READS = new Set(
  (
    'read view cat open list ls dir tree glob find search grep ripgrep rg get stat head tail diff blame log show ' +
    'lookup inspect outline symbols references definition diagnostics fetch webfetch websearch'
  ).split(' '),
)
const WRITES = new Set(
  (
    'write edit multiedit create update set put post patch apply insert replace append delete remove rm move mv ' +
    'rename copy cp mkdir touch save commit push merge rebase checkout install uninstall deploy send todowrite'
  ).split(' '),
)
/** A name that reads in its first word and writes in another is not trusted to be a read. */
const wordsOf = (name: string): string[] =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(word => word !== '')

/** Shells and whatever is not known may write: they are run one by one. */
export function accessOf(name: string): ToolAccess {
  // What a server behind a tool does, its name does not tell.
  if (isMcpTool(name)) return 'unknown'
  const words = wordsOf(name)
  const [first] = words
  const writes = words.some(word => WRITES.has(word))
  if (first === undefined) return 'unknown'
  if (words.some(word => READS.has(word)) && !writes) {
    return READS.has(first) || READS.has(words.at(-1) ?? '') ? 'read' : 'unknown'
  }
  return WRITES.has(first) ? 'write' : 'unknown'
}

/** Tools of Model Context Protocol servers, as clients name them: `mcp__server__tool`, `mcp.server.tool`. */
export const isMcpTool = (name: string): boolean => /^mcp([_.:/-]|$)/i.test(name)
