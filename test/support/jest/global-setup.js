// @ts-check
import { runGlobalHook } from './global-hook.js'

export default () => runGlobalHook(new URL('../global-setup.ts', import.meta.url))
