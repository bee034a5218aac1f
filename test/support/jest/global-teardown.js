// @ts-check
import { runGlobalHook } from './global-hook.js'

export default () => runGlobalHook(new URL('../global-teardown.ts', import.meta.url))
