export { batch } from './work/batch.ts'
export { agentTurn } from './work/agent-turn.ts'
export { retention } from './retention.ts'
export { video } from './work/video.ts'
