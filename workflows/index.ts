export { batch } from './batch.ts'
export { agentTurn } from './agent-turn.ts'
export { retention } from './retention.ts'
export { video } from './video.ts'
