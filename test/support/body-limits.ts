const MIB = 1024 * 1024

/** Of operations that take more than 1 MiB. */
const LARGER: Record<string, number> = {
  'POST /chat/completions': 32 * MIB,
  'POST /completions': 32 * MIB,
  'POST /agent-turns': 32 * MIB,
  'POST /embeddings': 32 * MIB,
  'POST /images/generations': 32 * MIB,
  'POST /agent-tool-batches/plan': 8 * MIB,
  'POST /videos': 32 * MIB,
  'POST /estimate': 32 * MIB,
  'POST /responses': 32 * MIB,
  'POST /responses/input_tokens': 32 * MIB,
}

/** The largest body that an operation takes, in bytes. */
export const bodyLimitOf = (operation: string): number => LARGER[operation] ?? MIB
