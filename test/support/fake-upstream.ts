export { startFakeUpstream, type RunningFakeUpstream } from './fake-upstream/server.ts'
export {
  fakeCalls,
  fakePrompt,
  fakeStats,
  releaseCalls,
  setFakeDefaults,
  waitForAbort,
  waitForCalls,
} from './fake-upstream/client.ts'
export type { FakeScript } from './fake-upstream/script.ts'
