export { batch } from './batch.ts'
export { agentTurn } from './agent-turn.ts'
export { contentRetention } from './content-retention.ts'
export { video } from './video.ts'
