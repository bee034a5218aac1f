import { NativeConnection } from '@temporalio/worker'
import type { Config } from '../config.ts'
import { connectOptions } from './connection.ts'

/** The connection that workers poll over. Rejects where the server cannot be reached. */
export const connectNative = (config: Pick<Config, 'temporal'>): Promise<NativeConnection> =>
  NativeConnection.connect(connectOptions(config))
