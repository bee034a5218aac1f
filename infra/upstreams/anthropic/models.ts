/** What the wire format of a model takes: it changed between Anthropic's models. */
export interface ModelTraits {
  /** By a budget of tokens, or by an effort, and then as much as the model finds fit. */
  thinking: 'budget' | 'adaptive'
  /** `temperature`, `top_p` and `top_k`: newer models answer them with 400. */
  takesSampling: boolean
  /** The effort above `high`. */
  takesXhigh: boolean
}

const ADAPTIVE_SINCE = 4.06
const EFFORT_ALONE_SINCE = 4.07

/**
 * From the model's id; one that names no version is taken for a new one.
 * Source: https://platform.claude.com/docs/en/about-claude/models/migration-guide
 */
export function traitsOf(model: string): ModelTraits {
  const version = versionOf(model)
  return {
    thinking: version < ADAPTIVE_SINCE ? 'budget' : 'adaptive',
    takesSampling: version < EFFORT_ALONE_SINCE,
    takesXhigh: version >= EFFORT_ALONE_SINCE,
  }
}

/** `claude-opus-4-8` is 4.08, `claude-sonnet-4-20250514` 4, `claude-3-7-sonnet-latest` 3.07. */
function versionOf(model: string): number {
  const [, major, minor = '0'] = /^claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?/.exec(model) ?? []
  return major === undefined ? Infinity : Number(major) + Number(minor) / 100
}
