export const CALL_SURFACES = ['chat', 'batch', 'embeddings', 'responses', 'images', 'videos', 'replay', 'turn'] as const

/** Through which operation a call came. */
export type CallSurface = (typeof CALL_SURFACES)[number]
