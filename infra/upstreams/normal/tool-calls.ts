import { randomBytes } from 'node:crypto'
import { isFields, type Fields } from '../json.ts'

/** Arguments up to so long are parsed to see whether they are whole. */
const LONGEST_PARSED = 64 * 1024

interface Call {
  /** Its number among the calls that were told. */
  position: number | undefined
  /** The upstream's id. */
  id: string | undefined
  name: string
  /** Its arguments so far. */
  text: string
  /** Fields that came before its name. */
  early: Fields
}

/** A piece of a call, with the upstream's numbers. */
interface Fragment {
  index: number | undefined
  id: string | undefined
  name: string
  text: string
  /** Fields that are not known here: Gemini's signature of its thinking, which it wants back. */
  more: Fields
}

/**
 * Puts the calls of one choice of a stream together. A fragment belongs to the call of its index; another id begins
 * another call, also at the same index or at none, and so does a name where a call has one and is whole. Calls are
 * told once their name is known, numbered from 0, each with an id of its own.
 */
export class CallAssembly {
  private readonly ids = new Set<string>()
  private readonly emitted: Call[] = []
  private readonly byId = new Map<string, Call>()
  private readonly latestAt = new Map<number | undefined, Call>()
  private latest: Call | undefined

  get hasCalls(): boolean {
    return this.emitted.length > 0
  }

  /** What is to be told of a delta's fragments. */
  add(fragments: readonly unknown[]): Fields[] {
    const taken = new Set<Call>()
    return fragments.filter(isFields).flatMap(fields => {
      const fragment = fragmentOf(fields)
      const call = this.callOf(fragment, taken) ?? this.begin(fragment)
      taken.add(call)
      return this.emit(call, fragment)
    })
  }

  /** The empty arguments of calls that got none. */
  end(): Fields[] {
    const empty = this.emitted.filter(({ text }) => text.trim() === '')
    empty.forEach(call => (call.text = '{}'))
    return empty.map(({ position }) => ({ index: position, function: { arguments: '{}' } }))
  }

  /** The call that a fragment goes on with; undefined where it begins one. */
  private callOf(fragment: Fragment, taken: ReadonlySet<Call>): Call | undefined {
    const { index, id, name } = fragment
    const latest = this.latestAt.get(index)
    if (id !== undefined) return this.byId.get(keyOf(index, id)) ?? this.continuedBy(fragment, id, latest)
    if (name === '') return latest ?? (index === undefined ? this.latest : undefined)
    if (latest === undefined || taken.has(latest)) return undefined
    const isOther = latest.name !== '' && (latest.name !== name || isWhole(latest.text))
    return isOther ? undefined : latest
  }

  /** The latest call at the index, where an id that was not seen before is its own. */
  private continuedBy({ index, name }: Fragment, id: string, latest: Call | undefined): Call | undefined {
    if (latest === undefined || name !== '') return undefined
    if (latest.id === undefined) return this.identified(latest, index, id)
    // Some servers make up another id for each fragment: a call that goes on has no name again.
    return index === undefined || latest.name === '' || isWhole(latest.text) ? undefined : latest
  }

  private begin({ index, id }: Fragment): Call {
    const call: Call = { position: undefined, id: undefined, name: '', text: '', early: {} }
    this.latestAt.set(index, call)
    this.latest = call
    return id === undefined ? call : this.identified(call, index, id)
  }

  private identified(call: Call, index: number | undefined, id: string): Call {
    call.id = id
    this.byId.set(keyOf(index, id), call)
    // A later fragment may leave its index out.
    this.byId.set(keyOf(undefined, id), call)
    return call
  }

  private emit(call: Call, { name, text, more }: Fragment): Fields[] {
    call.name ||= name
    call.text += text
    if (call.position !== undefined) {
      const isSilent = text === '' && Object.keys(more).length === 0
      return isSilent ? [] : [{ ...more, index: call.position, function: { arguments: text } }]
    }
    Object.assign(call.early, more)
    if (call.name === '') return []
    call.position = this.emitted.push(call) - 1
    const called = { name: call.name, arguments: call.text }
    return [{ ...call.early, index: call.position, id: ownId(call.id, this.ids), type: 'function', function: called }]
  }
}

const keyOf = (index: number | undefined, id: string): string => `${index ?? ''} ${id}`

function fragmentOf({ index, id, type: _type, function: called, ...more }: Fields): Fragment {
  const { name, arguments: text } = isFields(called) ? called : {}
  return {
    index: typeof index === 'number' ? index : undefined,
    id: typeof id === 'string' && id !== '' ? id : undefined,
    name: typeof name === 'string' ? name : '',
    text: argumentsText(text),
    more,
  }
}

/** Some upstreams give the arguments themselves and not their JSON. */
function argumentsText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

/** Whether arguments can have nothing after them. */
function isWhole(text: string): boolean {
  if (!text.trimEnd().endsWith('}') || text.length > LONGEST_PARSED) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The upstream's id of a call, where it has one that no other call of the reply has; else one of ours. */
function ownId(id: string | undefined, taken: Set<string>): string {
  const own = id === undefined || taken.has(id) ? `call_${randomBytes(12).toString('hex')}` : id
  taken.add(own)
  return own
}

/** The calls of a whole message: each with an id, and arguments that are JSON. What names no function is no call. */
export function wholeCalls(calls: readonly unknown[]): Fields[] {
  const ids = new Set<string>()
  return calls
    .filter(isFields)
    .map(fragmentOf)
    .filter(({ name }) => name !== '')
    .map(({ id, name, text, more }) => ({
      ...more,
      id: ownId(id, ids),
      type: 'function',
      function: { name, arguments: text.trim() === '' ? '{}' : text },
    }))
}
